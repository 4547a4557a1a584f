package gateway

import (
	"context"
	"fmt"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// brokers are the constructors of the brokers that contract.KeyBroker selects. They do no I/O: a broker connects when
// it runs. The package comment of broker says how to add one.
var brokers = map[string]func(base) broker.Broker{
	contract.BrokerMemory: base.memoryBroker,
	contract.BrokerRedis:  base.redisBroker,
}

// newBroker returns the broker that the configuration names, or an error when there is none of that name.
func (b base) newBroker() (broker.Broker, error) {
	construct, known := brokers[b.cfg.Broker]
	if !known {
		return nil, fmt.Errorf("%s: %q is not known", contract.KeyBroker, b.cfg.Broker)
	}
	return construct(b), nil
}

func (b base) memoryBroker() broker.Broker {
	return memory.New(memory.Options{Instance: b.gatewayID.String()})
}

func (b base) redisBroker() broker.Broker {
	return redis.New(redis.Options{
		Mode:       b.cfg.RedisMode,
		Addresses:  b.cfg.RedisAddresses,
		MasterName: b.cfg.RedisMasterName,
		Username:   b.cfg.RedisUsername,
		Password:   b.cfg.RedisPassword,
		Prefix:     b.cfg.RedisPrefix,
		Instance:   b.gatewayID.String(),
		Logger:     b.log,
	})
}

// runBroker carries publications to the hub and messages to the RPC between gateways until the context ends. It returns
// the error of the broker's Run.
func (g *Gateway) runBroker(ctx context.Context) error { return g.broker.Run(ctx, g.hub, g.control) }
