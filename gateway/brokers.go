package gateway

import (
	"context"
	"fmt"

	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// makeBroker builds the broker that the configuration names.
func (g *Gateway) makeBroker() error {
	switch g.cfg.Broker {
	case contract.BrokerMemory:
		g.broker = memory.New(memory.Options{Instance: g.gatewayID.String()})
	case contract.BrokerRedis:
		g.broker = redis.New(redis.Options{
			Mode: g.cfg.RedisMode, Addresses: g.cfg.RedisAddresses, MasterName: g.cfg.RedisMasterName,
			Username: g.cfg.RedisUsername, Password: g.cfg.RedisPassword, Prefix: g.cfg.RedisPrefix,
			Instance: g.gatewayID.String(), Logger: g.log,
		})
	default:
		return fmt.Errorf("%s: %q is not known", contract.KeyBroker, g.cfg.Broker)
	}
	return nil
}

// runBroker carries publications to the hub and messages to the backend until the context ends.
func (g *Gateway) runBroker(ctx context.Context) error { return g.broker.Run(ctx, g.hub, g.control) }
