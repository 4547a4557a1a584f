package gateway

import (
	"fmt"

	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/gateway/contract"
)

// makeBroker builds the broker that the configuration names.
func (g *Gateway) makeBroker() error {
	switch g.cfg.Broker {
	case contract.BrokerMemory:
		g.broker = memory.New(g.hub.Deliver)
	case contract.BrokerRedis:
		g.broker = redis.New(redis.Options{
			Mode: g.cfg.RedisMode, Addresses: g.cfg.RedisAddresses, MasterName: g.cfg.RedisMasterName,
			Username: g.cfg.RedisUsername, Password: g.cfg.RedisPassword, Prefix: g.cfg.RedisPrefix,
			Deliver: g.hub.Deliver, Logger: g.log,
		})
	default:
		return fmt.Errorf("%s: %q is not known", contract.KeyBroker, g.cfg.Broker)
	}
	return nil
}
