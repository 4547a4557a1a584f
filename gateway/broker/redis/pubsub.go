package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Bounds of the delay between two attempts to connect. It doubles, with a random part that keeps the gateways of a
// fleet from reconnecting at the same moment.
const (
	minReconnectDelay = 100 * time.Millisecond
	maxReconnectDelay = 2 * time.Second
)

// batch is the maximum number of names of one subscribe command.
const batch = 512

// errSilent ends a connection on which not even the gateway's own probes come back.
var errSilent = errors.New("redis does not deliver: no probe has come back")

// pubSubConn keeps one Pub/Sub connection and its subscriptions. Several goroutines of connect work on one connection:
// one reads, one sends commands, one sends probes.
type pubSubConn struct {
	broker *Broker
	// probe is the name that this gateway publishes probes to, and subscribes to itself.
	probe string
	// inbox is the name on which other gateways send messages to this one. One pubSubConn has it; it is empty in others.
	inbox string
	// wake holds at most one token, which means that subscriptions changed.
	wake chan struct{}
	// due holds at most one token, which means that a probe should be sent now.
	due chan struct{}

	// loss is set while messages do not flow because of an error.
	loss *loss

	// mu guards the fields below.
	mu            sync.Mutex
	subscriptions subscriptions
	// up is true while messages flow. err is the error behind false.
	up  bool
	err error
	// lastProbe is when the last probe came back, or when the connection was opened.
	lastProbe time.Time
}

func newPubSubConn(b *Broker, probe string) *pubSubConn {
	return &pubSubConn{
		broker:        b,
		probe:         probe,
		wake:          make(chan struct{}, 1),
		due:           make(chan struct{}, 1),
		loss:          newLoss(),
		subscriptions: newSubscriptions(b.resumed),
		err:           errNoProbe,
	}
}

func (l *pubSubConn) subscribe(key string, confirmed func()) {
	l.mu.Lock()
	l.subscriptions.subscribe(key, confirmed)
	l.mu.Unlock()
	signal(l.wake)
}

func (l *pubSubConn) unsubscribe(key string) {
	l.mu.Lock()
	l.subscriptions.unsubscribe(key)
	l.mu.Unlock()
	signal(l.wake)
}

func (l *pubSubConn) status() (up bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.err
}

// set records whether messages flow, and the error when they do not.
func (l *pubSubConn) set(up bool, err error) {
	l.mu.Lock()
	changed := l.up != up || errors.Is(l.err, errNoProbe) != errors.Is(err, errNoProbe)
	l.up, l.err = up, err
	if up {
		l.lastProbe = time.Now()
	}
	l.loss.set(!up && !errors.Is(err, errNoProbe))
	l.mu.Unlock()
	if changed {
		l.broker.review()
	}
	if err != nil {
		l.broker.warnUnreached(err)
	}
}

// run keeps the connection open until the context ends.
func (l *pubSubConn) run(ctx context.Context) error {
	delay := minReconnectDelay
	for ctx.Err() == nil {
		start := time.Now()
		l.disconnected(ctx, l.connect(ctx))
		if time.Since(start) > maxReconnectDelay {
			delay = minReconnectDelay
		}
		timer := time.NewTimer(delay/2 + rand.N(delay))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		delay = min(delay*2, maxReconnectDelay)
	}
	return nil
}

// disconnected records the error that ended a connection, unless the context has ended.
func (l *pubSubConn) disconnected(ctx context.Context, err error) {
	if ctx.Err() == nil {
		l.set(false, err)
		l.broker.options.Logger.Debug("redis pub/sub connection ended", slog.Any("error", err))
	}
}

// connect opens a connection and returns the error that ended it.
func (l *pubSubConn) connect(ctx context.Context) error {
	ps := l.open(ctx)
	l.mu.Lock()
	l.subscriptions.reset()
	l.lastProbe = time.Now()
	l.mu.Unlock()

	if err := l.sendCommands(ctx, ps, l.own(), nil); err != nil {
		_ = ps.Close()
		return err
	}
	group, work := errgroup.WithContext(ctx)
	group.Go(func() error {
		// Reads do not end with the context, but with the connection.
		<-work.Done()
		return ps.Close()
	})
	group.Go(func() error { return l.read(work, ps) })
	group.Go(func() error { return l.sendProbes(work) })
	group.Go(func() error { return l.sending(work, ps) })
	err := group.Wait()
	if moved(err) {
		l.reload(ctx)
	}
	return err
}

// own returns the names that are always subscribed. The probe is last: once it comes back, the inbox is subscribed,
// too.
func (l *pubSubConn) own() []string {
	if l.inbox == "" {
		return []string{l.probe}
	}
	return []string{l.inbox, l.probe}
}

// open returns a Pub/Sub connection, which dials at its first command.
func (l *pubSubConn) open(ctx context.Context) *redis.PubSub {
	if l.broker.names.sharded {
		return l.broker.client.SSubscribe(ctx)
	}
	return l.broker.client.Subscribe(ctx)
}

// sending sends the commands for all subscriptions, and then for every change.
func (l *pubSubConn) sending(ctx context.Context, ps *redis.PubSub) error {
	for {
		if err := l.send(ctx, ps); err != nil {
			return err
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends commands until the connection has been asked for all subscriptions.
func (l *pubSubConn) send(ctx context.Context, ps *redis.PubSub) error {
	for {
		l.mu.Lock()
		subscribe, unsubscribe, confirmed := l.subscriptions.next(batch)
		l.mu.Unlock()
		for _, f := range confirmed {
			call(f)
		}
		if len(subscribe)+len(unsubscribe) == 0 {
			return nil
		}
		if err := l.sendCommands(ctx, ps, subscribe, unsubscribe); err != nil {
			return err
		}
	}
}

// sendCommands sends up to one command of each kind.
func (l *pubSubConn) sendCommands(ctx context.Context, ps *redis.PubSub, subscribe, unsubscribe []string) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	on, off := ps.Subscribe, ps.Unsubscribe
	if l.broker.names.sharded {
		on, off = ps.SSubscribe, ps.SUnsubscribe
	}
	if len(unsubscribe) > 0 {
		if err := off(ctx, unsubscribe...); err != nil {
			return fmt.Errorf("redis: unsubscribe: %w", err)
		}
	}
	if len(subscribe) > 0 {
		if err := on(ctx, subscribe...); err != nil {
			return fmt.Errorf("redis: subscribe: %w", err)
		}
	}
	return nil
}

// read handles what Redis sends until the connection breaks, and returns why.
func (l *pubSubConn) read(ctx context.Context, ps *redis.PubSub) error {
	for {
		// On a sound connection a probe arrives within this time.
		message, err := ps.ReceiveTimeout(ctx, l.silenceTimeout()+l.broker.options.ProbeInterval)
		if err != nil {
			return fmt.Errorf("redis: receive: %w", err)
		}
		switch m := message.(type) {
		case *redis.Message:
			l.message(ctx, m)
		case *redis.Subscription:
			if err := l.onSubscription(m); err != nil {
				return err
			}
		}
	}
}

func (l *pubSubConn) message(ctx context.Context, m *redis.Message) {
	switch m.Channel {
	case l.probe:
		l.set(true, nil)
		return
	case l.inbox:
		if h := l.broker.messages; h != nil {
			h.OnMessage([]byte(m.Payload))
		}
		return
	}
	if channel, ok := l.broker.names.channelOf(m.Channel); ok {
		l.broker.enqueue(ctx, delivery{channel: channel, payload: m.Payload})
	}
}

// onSubscription handles the answer to a subscribe or unsubscribe command. It returns errMoved when Redis has ended a
// subscription.
func (l *pubSubConn) onSubscription(m *redis.Subscription) error {
	switch m.Kind {
	case "subscribe", "ssubscribe":
		if m.Channel == l.probe {
			signal(l.due)
			return nil
		}
		l.mu.Lock()
		confirmed := l.subscriptions.confirm(m.Channel)
		l.mu.Unlock()
		call(confirmed)
	case "unsubscribe", "sunsubscribe":
		// A Redis Cluster sends this by itself when a slot moves to another node.
		l.mu.Lock()
		expected := l.subscriptions.unsubscribed(m.Channel)
		l.mu.Unlock()
		if !expected || m.Channel == l.probe || m.Channel == l.inbox {
			return errMoved
		}
	}
	return nil
}

// call calls f unless it is nil.
func call(f func()) {
	if f != nil {
		f()
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
