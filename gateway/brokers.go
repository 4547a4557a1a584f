package gateway

import (
	"fmt"

	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// makeBroker builds the broker that the configuration names.
func (g *Gateway) makeBroker() error {
	// What others say comes when all is made.
	heard := func(message []byte) { g.backend.Heard(message) }
	switch g.cfg.Broker {
	case contract.BrokerMemory:
		g.broker = memory.New(memory.Options{Deliver: g.hub.Deliver, Heard: heard, Instance: g.instance.String()})
	case contract.BrokerRedis:
		g.broker = redis.New(redis.Options{
			Mode: g.cfg.RedisMode, Addresses: g.cfg.RedisAddresses, MasterName: g.cfg.RedisMasterName,
			Username: g.cfg.RedisUsername, Password: g.cfg.RedisPassword, Prefix: g.cfg.RedisPrefix,
			Deliver: g.hub.Deliver, Heard: heard, Resumed: g.hub.Resumed, Instance: g.instance.String(), Logger: g.log,
		})
	default:
		return fmt.Errorf("%s: %q is not known", contract.KeyBroker, g.cfg.Broker)
	}
	return nil
}
