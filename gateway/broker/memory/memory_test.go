package memory_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler calls functions; nil ones do nothing.
type handler struct{ deliver, message func() }

func (h handler) Deliver(string, broker.Publication) {
	if h.deliver != nil {
		h.deliver()
	}
}

func (handler) Resumed(string) {}

func (h handler) OnMessage([]byte) {
	if h.message != nil {
		h.message()
	}
}

// A gateway subscribes and publishes while its broker starts.
func TestMemoryConfirmsSubscriptionsOnceItRuns(t *testing.T) {
	n := brokertest.NewNode("only")
	b := memory.New(memory.Options{})
	confirmed := map[string]bool{}
	for _, channel := range []string{"kept", "ended"} {
		b.Subscribe(channel, func() { confirmed[channel] = true })
	}
	b.Unsubscribe("ended")
	_, err := b.Publish(t.Context(), "kept", broker.Publication{Data: []byte("early")}, broker.PublishOptions{})
	require.NoError(t, err)
	require.Empty(t, confirmed)

	brokertest.Connect(b, n)
	require.Equal(t, map[string]bool{"kept": true}, confirmed)
	b.Subscribe("late", func() { confirmed["late"] = true })
	require.True(t, confirmed["late"])
	_, err = b.Publish(t.Context(), "kept", broker.Publication{Data: []byte("now")}, broker.PublishOptions{})
	require.NoError(t, err)
	require.Equal(t, "now", string(n.Next(t).Data), "the early one had no confirmed subscriber")
}

// Two subscribers must see concurrent publications to their channel in one order.
func TestMemoryDeliversOnePublicationOfAChannelAtATime(t *testing.T) {
	var inside sync.Mutex
	delivered := 0
	b := memory.New(memory.Options{})
	brokertest.Connect(b, handler{deliver: func() {
		require.True(t, inside.TryLock(), "another delivery to this channel is under way")
		delivered++
		inside.Unlock()
	}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				_, _ = b.Publish(t.Context(), "lobby", broker.Publication{}, broker.PublishOptions{})
			}
		})
	}
	wg.Wait()
	require.Equal(t, 8000, delivered)
}

func TestMemoryConforms(t *testing.T) {
	n := brokertest.NewNode("only")
	n.Broker = memory.New(memory.Options{Instance: n.Instance})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, n, n) }()
	brokertest.Run(t, n, n)
	cancel()
	require.NoError(t, <-ended)
}

func TestNewNamesInstancesDifferently(t *testing.T) {
	first, second := memory.New(memory.Options{}), memory.New(memory.Options{})
	for _, b := range []*memory.Broker{first, second} {
		require.NoError(t, b.Announce(t.Context(), nil, time.Minute))
	}
	all, err := first.Gateways(t.Context())
	require.NoError(t, err)
	for instance := range all {
		require.NotEmpty(t, instance)
		reached, err := second.Send(t.Context(), instance, nil)
		require.NoError(t, err)
		require.False(t, reached)
		reached, err = first.Send(t.Context(), instance, nil)
		require.NoError(t, err)
		require.True(t, reached, "nobody listens, but it is there")
	}
}

// The sender may hold a lock that the handler takes.
func TestSendDoesNotWaitForTheHandler(t *testing.T) {
	var mu sync.Mutex
	received := make(chan struct{})
	b := memory.New(memory.Options{Instance: "only"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, b.Run(ctx, handler{}, handler{message: func() {
		mu.Lock()
		defer mu.Unlock()
		close(received)
	}}))
	mu.Lock()
	_, err := b.Send(t.Context(), "only", nil)
	mu.Unlock()
	require.NoError(t, err)
	<-received
}

func TestRunRemovesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx, handler{}, nil) }()
		h := channel.History{Size: 5, TTL: channel.Duration(time.Minute)}
		first, err := b.Publish(ctx, "x", broker.Publication{Data: []byte("d")},
			broker.PublishOptions{History: h, IdempotencyKey: "k"})
		require.NoError(t, err)
		_, err = b.Join(ctx, "x", broker.ClientInfo{Client: "c"}, time.Minute)
		require.NoError(t, err)
		require.NoError(t, b.Register(ctx, []string{"u"}, time.Minute))
		require.NoError(t, b.Revoke(ctx, "u", time.Now()))

		time.Sleep(broker.IdempotencyTTL - time.Second)
		again, err := b.Publish(ctx, "x", broker.Publication{Data: []byte("d")},
			broker.PublishOptions{History: h, IdempotencyKey: "k"})
		require.NoError(t, err)
		require.True(t, again.Repeated, "the key is remembered that long")
		time.Sleep(2 * time.Second)
		s, err := b.History(ctx, "x", broker.HistoryQuery{Limit: -1})
		require.NoError(t, err)
		require.Equal(t, broker.Stream{Top: first.Position}, s)
		gone, err := b.Sweep(ctx, "x")
		require.NoError(t, err)
		require.Len(t, gone, 1, "somebody wants to know, for a while")
		next, err := b.Publish(ctx, "x", broker.Publication{Data: []byte("d")},
			broker.PublishOptions{History: h, IdempotencyKey: "k"})
		require.NoError(t, err)
		require.Equal(t, broker.PublishResult{Position: broker.Position{Offset: 2, Epoch: first.Epoch}}, next)

		time.Sleep(25 * time.Hour)
		s, err = b.History(ctx, "x", broker.HistoryQuery{})
		require.NoError(t, err)
		require.NotEqual(t, first.Epoch, s.Top.Epoch)
		until, err := b.Revoked(ctx, "u")
		require.NoError(t, err)
		require.False(t, until.IsZero())
		require.Equal(t, 2, memory.Size(b), "the revocation, and the epoch that was just read")

		cancel()
		require.NoError(t, <-done)
		time.Sleep(broker.RevocationTTL)
		memory.Sweep(b)
		require.Zero(t, memory.Size(b))
	})
}

// A channel's name that was cut out of a message does not keep all of the message.
func TestMemoryCopiesChannelNames(t *testing.T) {
	b := memory.New(memory.Options{})
	h := channel.History{Size: 1, TTL: channel.Duration(time.Minute)}
	for what, use := range map[string]func(name string) error{
		"publish": func(name string) error {
			_, err := b.Publish(t.Context(), name, broker.Publication{}, broker.PublishOptions{History: h})
			return err
		},
		"history": func(name string) error {
			_, err := b.History(t.Context(), name, broker.HistoryQuery{})
			return err
		},
		"join": func(name string) error {
			_, err := b.Join(t.Context(), name, broker.ClientInfo{Client: "c"}, time.Minute)
			return err
		},
	} {
		message := strings.Repeat("x", 1<<20)
		kept := weak.Make(unsafe.StringData(message))
		require.NoError(t, use(message[:len(what)]))
		runtime.GC()
		require.Nil(t, kept.Value(), what)
	}
	require.NotZero(t, memory.Size(b))
}

// Clients can look at as many channels as they can think of: what is kept of a look is soon forgotten.
func TestHistoryOfAnEmptyStreamExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		look := func() string {
			stream, err := b.History(t.Context(), "invented", broker.HistoryQuery{})
			require.NoError(t, err)
			return stream.Top.Epoch
		}
		first := look()
		for range 3 {
			time.Sleep(broker.EmptyTTL - time.Second)
			require.Equal(t, first, look(), "each look keeps it for as long again")
		}
		time.Sleep(broker.EmptyTTL)
		require.NotEqual(t, first, look())
	})
}
