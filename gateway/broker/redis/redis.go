// Package redis is the broker of gateways that share a Redis: one server, one behind sentinels, or a Redis Cluster.
// Publications travel through Pub/Sub, sharded Pub/Sub on a Cluster; scripts keep streams, presence and the directory
// (scripts/*.lua). Package gateway uses it.
//
// pubsub.go keeps the connections that publications arrive on, subscriptions.go compares what they should be subscribed
// to with what Redis confirmed, pipeline.go sends commands, script.go runs the scripts.
package redis

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Timeouts after which Redis counts as unreachable.
const (
	dialTimeout      = 2 * time.Second
	operationTimeout = 3 * time.Second
	// DefaultProbeInterval is how often a message goes through Redis and back.
	DefaultProbeInterval = 2 * time.Second
)

// Publications are delivered by workers, so that the goroutine that reads from Redis waits for no fan-out. A channel
// always has the same worker, which keeps its order.
const (
	workers     = 8
	workerQueue = 1024
)

// Options configure a Broker.
type Options struct {
	// Mode is one of contract.RedisStandalone, RedisSentinel, RedisCluster.
	Mode       string
	Addresses  []string
	MasterName string
	Username   string
	Password   string
	// Prefix is the beginning of every name in Redis.
	Prefix string
	// ProbeInterval is how often a probe is sent. 0 means DefaultProbeInterval.
	ProbeInterval time.Duration
	// Instance is this gateway's name in the directory, which changes with every start. Empty means a random name.
	Instance string
	Logger   *slog.Logger
}

// Broker implements broker.Broker.
type Broker struct {
	options Options
	names   names
	client  redis.UniversalClient
	scripts scripts
	// subscribers and messages are the handlers that Run gets; messages may be nil.
	subscribers broker.PublicationHandler
	messages    broker.MessageHandler
	// loss is set while a connection of conns is down because of an error.
	loss *loss
	// publications is the pipeline of publications, which are small and must not wait behind larger replies; rest is that
	// of all other commands.
	publications, rest *pipeline
	conns              []*pubSubConn
	seed               maphash.Seed
	queues             []chan delivery
	// unreadable limits warnings of messages that no gateway wrote.
	unreadable *ratelog.Limiter
	// unreachable limits warnings of failed attempts to reach Redis.
	unreachable *ratelog.Limiter

	mu    sync.Mutex
	state contract.BrokerState
}

// delivery is a message on its way from a connection to the handler.
type delivery struct {
	channel string
	payload string
}

// New returns a broker, which connects when it runs.
func New(o Options) *Broker {
	if o.ProbeInterval == 0 {
		o.ProbeInterval = DefaultProbeInterval
	}
	if o.Instance == "" {
		o.Instance = uuid.NewString()
	}
	client, lost := redis.NewUniversalClient(clientOptions(o)), newLoss()
	b := &Broker{
		options: o, names: names{prefix: o.Prefix, sharded: o.Mode == contract.RedisCluster},
		client: client, scripts: newScripts(), loss: lost,
		publications: newPipeline(client, lost), rest: newPipeline(client, lost),
		seed: maphash.MakeSeed(), unreadable: ratelog.New(o.Logger), unreachable: ratelog.New(o.Logger),
		state: contract.BrokerConnecting,
	}
	for part := range b.names.parts() {
		b.conns = append(b.conns, newPubSubConn(b, b.names.probe(part, o.Instance)))
	}
	inbox, part := b.names.inbox(o.Instance)
	b.conns[part].inbox = inbox
	for range workers {
		b.queues = append(b.queues, make(chan delivery, workerQueue))
	}
	return b
}

// clientOptions returns the options of the client library. The library retries nothing: it would send a publication
// twice whose outcome is unknown, and a probe must fail early.
func clientOptions(o Options) *redis.UniversalOptions {
	u := &redis.UniversalOptions{
		Addrs:                    o.Addresses,
		Username:                 o.Username,
		Password:                 o.Password,
		ClientName:               "wsfleet-gateway",
		DialTimeout:              dialTimeout,
		ReadTimeout:              operationTimeout,
		WriteTimeout:             operationTimeout,
		PoolTimeout:              operationTimeout,
		DialerRetries:            1,
		MaxRetries:               -1,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		IsClusterMode:            o.Mode == contract.RedisCluster,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.Mode == contract.RedisSentinel {
		u.MasterName = o.MasterName
	}
	return u
}

// Kind implements broker.Broker.
func (b *Broker) Kind() string { return contract.BrokerRedis }

// Subscribe implements broker.PubSub.
func (b *Broker) Subscribe(channel string, confirmed func()) {
	key, part := b.names.channel(channel)
	b.conns[part].subscribe(key, confirmed)
}

// Lost implements broker.PubSub.
func (b *Broker) Lost(channel string) <-chan struct{} {
	_, part := b.names.channel(channel)
	return b.conns[part].loss.c()
}

// Unsubscribe implements broker.PubSub.
func (b *Broker) Unsubscribe(channel string) {
	key, part := b.names.channel(channel)
	b.conns[part].unsubscribe(key)
}

// Run implements broker.Broker. It returns nil, and no error, once the context has ended.
func (b *Broker) Run(ctx context.Context, publications broker.PublicationHandler,
	messages broker.MessageHandler) error {
	b.subscribers, b.messages = publications, messages
	group, ctx := errgroup.WithContext(ctx)
	for _, queue := range b.queues {
		group.Go(func() error { return b.work(ctx, queue) })
	}
	for range roundTrips {
		group.Go(func() error { return b.publications.run(ctx) })
		group.Go(func() error { return b.rest.run(ctx) })
	}
	for _, l := range b.conns {
		group.Go(func() error { return l.run(ctx) })
	}
	err := group.Wait()
	// Connections that cannot be closed end with the process.
	_ = b.client.Close()
	return err
}

// work delivers the messages of one queue until the context ends.
func (b *Broker) work(ctx context.Context, queue <-chan delivery) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case d := <-queue:
			p, err := broker.Decode([]byte(d.payload))
			if err != nil {
				b.unreadable.WarnError("message in a channel of gateways that this gateway cannot read", err)
				continue
			}
			b.subscribers.Deliver(d.channel, p)
		}
	}
}

// enqueue hands a message to its channel's worker. It waits while the worker's queue is full.
func (b *Broker) enqueue(ctx context.Context, d delivery) {
	select {
	case b.queues[maphash.String(b.seed, d.channel)%workers] <- d:
	case <-ctx.Done():
	}
}

// resumed reports a name that Redis has confirmed on a new connection to the handler.
func (b *Broker) resumed(name string) {
	if channel, ok := b.names.channelOf(name); ok {
		b.subscribers.Resumed(channel)
	}
}
