package brokertest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/channel"
)

var idempotency = map[string]func(*testing.T, *Node, *Node){
	"Publish with a key publishes once, with history": func(t *testing.T, a, b *Node) {
		once(t, a, b, "once kept", kept)
	},
	"Publish with a key publishes once, without history": func(t *testing.T, a, b *Node) {
		once(t, a, b, "once", channel.History{})
	},
	"a key belongs to one channel":                        perChannel,
	"a key with other data is a conflict":                 conflicts,
	"a key with a fingerprint belongs to the fingerprint": fingerprints,
	"a key publishes once when it is used concurrently":   concurrentKeys,
}

func once(t *testing.T, a, b *Node, name string, h channel.History) {
	b.Listen(t, name)
	o := broker.PublishOptions{History: h, IdempotencyKey: "key"}
	p := broker.Publication{Data: []byte("x"), Binary: true}
	first, err := a.Publish(t.Context(), name, p, o)
	require.NoError(t, err)
	require.False(t, first.Repeated)
	second, err := b.Publish(t.Context(), name, p, o)
	require.NoError(t, err)
	require.Equal(t, broker.PublishResult{Position: first.Position, Repeated: true}, second)

	last := publish(t, a, name, "last", h)
	require.Equal(t, first.Position, b.Next(t).Position)
	require.Equal(t, Delivery{name, broker.Publication{Data: []byte("last"), Position: last}}, b.Next(t))
	if h.Size > 0 {
		require.Equal(t, []int{1, 2}, offsets(history(t, b, name, all).Publications))
	}
}

func perChannel(t *testing.T, a, _ *Node) {
	for _, c := range []struct{ channel, key string }{{"a", "b:c"}, {"a:b", "c"}, {"a", "b"}, {"a:", "b:c"}} {
		result, err := a.Publish(t.Context(), c.channel, broker.Publication{}, broker.PublishOptions{IdempotencyKey: c.key})
		require.NoError(t, err)
		require.False(t, result.Repeated, "%v", c)
	}
	forget(a)
}

func conflicts(t *testing.T, a, b *Node) {
	for name, h := range map[string]channel.History{"conflict": {}, "conflict kept": kept} {
		o := broker.PublishOptions{History: h, IdempotencyKey: "key"}
		_, err := a.Publish(t.Context(), name, broker.Publication{Data: []byte("x")}, o)
		require.NoError(t, err)
		for _, other := range []broker.Publication{{Data: []byte("y")}, {Data: []byte("x"), Binary: true}, {}} {
			_, err = b.Publish(t.Context(), name, other, o)
			require.ErrorIs(t, err, broker.ErrIdempotencyConflict)
			require.NotErrorIs(t, err, broker.ErrUnavailable)
		}
	}
	require.Equal(t, []int{1}, offsets(history(t, b, "conflict kept", all).Publications))
	forget(a)
}

func fingerprints(t *testing.T, a, b *Node) {
	said := broker.FingerprintOf(broker.Publication{Data: []byte("said")})
	for name, h := range map[string]channel.History{"fingerprint": {}, "fingerprint kept": kept} {
		o := broker.PublishOptions{History: h, IdempotencyKey: "key", Fingerprint: said}
		first, err := a.Publish(t.Context(), name, broker.Publication{Data: []byte("x")}, o)
		require.NoError(t, err)
		again, err := b.Publish(t.Context(), name, broker.Publication{Data: []byte("y")}, o)
		require.NoError(t, err)
		require.Equal(t, broker.PublishResult{Position: first.Position, Repeated: true}, again)
		o.Fingerprint = broker.Fingerprint{}
		_, err = b.Publish(t.Context(), name, broker.Publication{Data: []byte("x")}, o)
		require.ErrorIs(t, err, broker.ErrIdempotencyConflict)
		again, err = b.Publish(t.Context(), name, broker.Publication{Data: []byte("said")}, o)
		require.NoError(t, err, "the publication is what it was used for")
		require.True(t, again.Repeated)
	}
	require.Equal(t, []int{1}, offsets(history(t, b, "fingerprint kept", all).Publications))
	forget(a)
}

func concurrentKeys(t *testing.T, a, b *Node) {
	var first atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		n := []*Node{a, b}[i%2]
		wg.Go(func() {
			result, err := n.Publish(t.Context(), "at once", broker.Publication{Data: []byte("x")},
				broker.PublishOptions{History: kept, IdempotencyKey: "key"})
			if err != nil || result.Offset != 1 {
				t.Errorf("%+v, %v", result, err)
			}
			if !result.Repeated {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, first.Load())
	require.Equal(t, []int{1}, offsets(history(t, b, "at once", all).Publications))
	forget(a)
}
