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

// Pauses between attempts to reach Redis. The random part keeps a fleet from coming back as one.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// batch is how many names one subscribe command carries.
const batch = 512

// errSilent is a connection on which not even our own messages come back.
var errSilent = errors.New("redis does not deliver: no probe has come back")

// link is one Pub/Sub connection and all that should be subscribed on it.
type link struct {
	broker *Broker
	probe  string
	// inbox is where this gateway hears what it is told; one link has it.
	inbox string
	// wake says that wishes changed, due that a probe should go out now. They hold one token at most.
	wake, due chan struct{}

	mu     sync.Mutex
	wishes wishes
	up     bool
	err    error
	echoed time.Time
}

func newLink(b *Broker, probe string) *link {
	return &link{broker: b, probe: probe, wake: make(chan struct{}, 1), due: make(chan struct{}, 1), wishes: newWishes(b.resumed), err: errNoProbe}
}

func (l *link) subscribe(key string, confirmed func()) {
	l.mu.Lock()
	l.wishes.want(key, confirmed)
	l.mu.Unlock()
	signal(l.wake)
}

func (l *link) unsubscribe(key string) {
	l.mu.Lock()
	l.wishes.unwant(key)
	l.mu.Unlock()
	signal(l.wake)
}

func (l *link) status() (up bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.err
}

// set records whether messages flow.
func (l *link) set(up bool, err error) {
	l.mu.Lock()
	changed := l.up != up
	l.up, l.err = up, err
	if up {
		l.echoed = time.Now()
	}
	l.mu.Unlock()
	if changed {
		l.broker.review()
	}
	if err != nil {
		l.broker.unreached(err)
	}
}

// run keeps the link connected.
func (l *link) run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		start := time.Now()
		l.lost(ctx, l.session(ctx))
		if time.Since(start) > lastPause {
			pause = firstPause
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		pause = min(pause*2, lastPause)
	}
	return nil
}

// lost records why a connection ended, unless that was the intent.
func (l *link) lost(ctx context.Context, err error) {
	if ctx.Err() == nil {
		l.set(false, err)
		l.broker.options.Logger.Debug("redis link ended", slog.Any("error", err))
	}
}

// session is one connection's life.
func (l *link) session(ctx context.Context) error {
	ps := l.open(ctx)
	l.mu.Lock()
	l.wishes.forget()
	l.echoed = time.Now()
	l.mu.Unlock()

	if err := l.tell(ctx, ps, l.own(), nil); err != nil {
		_ = ps.Close()
		return err
	}
	group, work := errgroup.WithContext(ctx)
	group.Go(func() error {
		// Reads do not notice the context; they notice this.
		<-work.Done()
		return ps.Close()
	})
	group.Go(func() error { return l.read(work, ps) })
	group.Go(func() error { return l.probing(work) })
	group.Go(func() error { return l.settling(work, ps) })
	err := group.Wait()
	if moved(err) {
		l.reload(ctx)
	}
	return err
}

// own are the names that are always subscribed. The probe is last: when it comes back, the inbox is
// subscribed as well.
func (l *link) own() []string {
	if l.inbox == "" {
		return []string{l.probe}
	}
	return []string{l.inbox, l.probe}
}

// open makes a Pub/Sub connection, which dials at its first command.
func (l *link) open(ctx context.Context) *redis.PubSub {
	if l.broker.names.sharded {
		return l.broker.client.SSubscribe(ctx)
	}
	return l.broker.client.Subscribe(ctx)
}

// settling tells the connection every wish, and every change of one.
func (l *link) settling(ctx context.Context, ps *redis.PubSub) error {
	for {
		if err := l.settle(ctx, ps); err != nil {
			return err
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settle tells the connection all that it does not know.
func (l *link) settle(ctx context.Context, ps *redis.PubSub) error {
	for {
		l.mu.Lock()
		subscribe, unsubscribe, confirmed := l.wishes.next(batch)
		l.mu.Unlock()
		for _, f := range confirmed {
			call(f)
		}
		if len(subscribe)+len(unsubscribe) == 0 {
			return nil
		}
		if err := l.tell(ctx, ps, subscribe, unsubscribe); err != nil {
			return err
		}
	}
}

// tell sends one command of each kind.
func (l *link) tell(ctx context.Context, ps *redis.PubSub, subscribe, unsubscribe []string) error {
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

// read takes what Redis sends until the connection breaks.
func (l *link) read(ctx context.Context, ps *redis.PubSub) error {
	for {
		// The probe makes silence impossible on a sound connection.
		message, err := ps.ReceiveTimeout(ctx, l.patience()+l.broker.options.ProbeInterval)
		if err != nil {
			return fmt.Errorf("redis: receive: %w", err)
		}
		switch m := message.(type) {
		case *redis.Message:
			l.message(ctx, m)
		case *redis.Subscription:
			if err := l.answered(m); err != nil {
				return err
			}
		}
	}
}

func (l *link) message(ctx context.Context, m *redis.Message) {
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

// answered takes a confirmation.
func (l *link) answered(m *redis.Subscription) error {
	switch m.Kind {
	case "subscribe", "ssubscribe":
		if m.Channel == l.probe {
			signal(l.due)
			return nil
		}
		l.mu.Lock()
		confirmed := l.wishes.confirm(m.Channel)
		l.mu.Unlock()
		call(confirmed)
	case "unsubscribe", "sunsubscribe":
		// A Redis Cluster says this by itself when a slot moves away.
		l.mu.Lock()
		expected := l.wishes.left(m.Channel)
		l.mu.Unlock()
		if !expected || m.Channel == l.probe || m.Channel == l.inbox {
			return errMoved
		}
	}
	return nil
}

// call tells somebody, unless there is nobody.
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
