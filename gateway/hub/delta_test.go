package hub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// deltaEncoder is a fakeEncoder whose deltas read "before>after".
type deltaEncoder struct {
	*fakeEncoder
	// noDelta reports for which publications EncodeDelta returns nothing, and an error that is nil or not. Nil: none.
	noDelta func(p broker.Publication) (yes bool, err error)
}

// EncodeDelta implements hub.DeltaEncoder.
func (e *deltaEncoder) EncodeDelta(channel string, before, p broker.Publication) (transport.Frame, error) {
	if e.noDelta != nil {
		if no, err := e.noDelta(p); no {
			return transport.Frame{}, err
		}
	}
	p.Data = []byte(string(before.Data) + ">" + string(p.Data))
	return e.Encode(channel, p)
}

func newDeltaEncoder(h *harness) *deltaEncoder { return &deltaEncoder{fakeEncoder: h.encoder} }

// publishBy publishes to the channel with a stream, as a client if by is not empty.
func (h *harness) publishBy(by string, all ...string) {
	for _, data := range all {
		p := broker.Publication{Data: []byte(data)}
		if by != "" {
			p.Info = &broker.ClientInfo{Client: by}
		}
		_, err := h.Publish(context.Background(), "log", p, broker.PublishOptions{History: streamRule.History})
		require.NoError(h.t, err)
	}
}

func TestSubscriptionAttachWithDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		deltas := hub.AttachOptions{Positioned: true, JoinLeave: true, Delta: newDeltaEncoder(h)}
		all, early := h.attachPositioned(nil), h.attachWith(deltas, nil)
		h.publishBy("", "a", "b")
		late := h.attachWith(deltas, at(1, "e1"))
		require.Equal(t, []string{"b"}, dataOf(late.result.Publications))
		h.publishBy("", "c")
		h.Deliver("log", broker.Publication{Kind: broker.KindJoin, Data: []byte("join"), Info: &broker.ClientInfo{}})
		h.publishBy("", "d")
		require.Equal(t, []string{"a", "a>b", "b>c", "join", "c>d"}, early.data())
		require.Equal(t, []string{"c", "join", "c>d"}, late.data(), "the first one is whole")
		require.Equal(t, []string{"a", "b", "c", "d"}, all.data())

		// What clients publish is neither a delta nor the base of one.
		h.publishBy("eve", "e")
		h.publishBy("", "f", "g")
		require.Equal(t, []string{"e", "f", "f>g"}, late.data()[3:])

		// A publication outside of the stream is part of the chain.
		_, err := h.Publish(context.Background(), "log", broker.Publication{Data: []byte("typing")}, broker.PublishOptions{})
		require.NoError(t, err)
		h.publishBy("", "h")
		require.Equal(t, []string{"g>typing", "typing>h"}, late.data()[6:])

		late.subscription.Release()
		early.subscription.Release()
		h.publishBy("", "i")
		again := h.attachWith(deltas, nil)
		h.publishBy("", "j", "k")
		require.Equal(t, []string{"j", "j>k"}, again.data(), "nothing was kept while nobody asked for deltas")
	})
}

// A delta is made of what a subscriber has got, whatever got lost or could not be encoded in between.
func TestSubscriptionWithDeltasThatMissesPublications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		e := newDeltaEncoder(h)
		m := h.attachWith(hub.AttachOptions{Delta: e}, nil)
		h.publishBy("", "a", "b")
		h.encoder.fails = func(p broker.Publication) bool { return string(p.Data) == "c" }
		h.publishBy("", "c", "d", "e")
		require.Equal(t, []string{"a", "a>b", "d", "d>e"}, m.data())

		h.encoder.fails = nil
		e.noDelta = func(p broker.Publication) (bool, error) {
			return string(p.Data) != "h", map[string]error{"f": errors.New("cannot")}[string(p.Data)]
		}
		h.publishBy("", "f", "g", "h")
		require.Equal(t, []string{"f", "g", "g>h"}, m.data()[4:])
	})
}

// A publication that one encoder cannot encode is the base of no delta, and neither is one whose delivery has panicked.
func TestSubscriptionWithDeltasOfWhatOthersMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		fails := func(p broker.Publication) bool { return string(p.Data) == "b" }
		other := &deltaEncoder{fakeEncoder: &fakeEncoder{fails: fails}}
		m := h.attachWith(hub.AttachOptions{Delta: newDeltaEncoder(h)}, nil)
		missing := &recorder{encoder: other.fakeEncoder}
		s, err := h.Hub.Subscribe(t.Context(), "log")
		require.NoError(t, err)
		s.Attach(missing, hub.AttachOptions{Delta: other}, nil)
		h.publishBy("", "a", "b", "c", "d")
		require.Equal(t, []string{"a", "a>b", "c", "c>d"}, m.data())
		require.Equal(t, []string{"a", "c", "c>d"}, missing.data())

		missing.onSend = func(broker.Publication) { panic("a bug") }
		require.Panics(t, func() {
			h.Deliver("log", broker.Publication{Data: []byte("e")})
		})
		missing.onSend = nil
		h.Deliver("log", broker.Publication{Data: []byte("f")})
		require.Equal(t, "f", m.data()[m.count()-1], "not a delta of d")
	})
}

// A subscriber that attaches while a publication is on its way does not get that one, and then a whole one.
func TestSubscriptionWithDeltasAttachesDuringADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		deltas := hub.AttachOptions{Positioned: true, Delta: newDeltaEncoder(h)}
		first := h.attachWith(deltas, nil)
		var second *client
		first.onSend = func(p broker.Publication) {
			if string(p.Data) == "a>b" {
				go func() { second = h.attachWith(deltas, nil) }()
			}
		}
		h.publishBy("", "a", "b")
		synctest.Wait()
		h.publishBy("", "c", "d")
		require.Equal(t, []string{"a", "a>b", "b>c", "c>d"}, first.data())
		require.Equal(t, []string{"c", "c>d"}, second.data())
	})
}

// applier makes each publication of the one before it, as clients do.
type applier struct {
	*client
	seen int
	last string
}

// apply applies what came since the last call.
func (a *applier) apply(t *testing.T) {
	t.Helper()
	all := a.data()
	for _, data := range all[a.seen:] {
		if before, after, isDelta := strings.Cut(data, ">"); isDelta {
			require.Equal(t, a.last, before, "a delta of what the client does not have")
			data = after
		}
		a.last = data
	}
	a.seen = len(all)
}

// Whatever happens in a channel, each delta is made of the publication that its subscriber has got before.
func TestSubscriptionDeltasFitTogether(t *testing.T) {
	deltas := 0
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { deltas += applyRandomDeltas(t, rand.New(rand.NewPCG(seed, seed))) })
		})
	}
	require.Greater(t, deltas, 100)
}

// applyRandomDeltas lets clients and publications come in random order, and returns how many deltas the clients that
// are left have applied.
func applyRandomDeltas(t *testing.T, random *rand.Rand) (deltas int) {
	t.Helper()
	h := newHarness(t, hub.Options{})
	h.run()
	e := newDeltaEncoder(h)
	divides := func(n int, p broker.Publication) bool {
		number, err := strconv.Atoi(string(p.Data))
		return err == nil && number%n == 0
	}
	h.encoder.fails = func(p broker.Publication) bool { return divides(17, p) }
	e.noDelta = func(p broker.Publication) (bool, error) { return divides(11, p), nil }
	var clients []*applier
	for step := range 300 {
		text := strconv.Itoa(step)
		switch random.IntN(12) {
		case 0:
			o := hub.AttachOptions{Positioned: random.IntN(2) == 0, Delta: e}
			clients = append(clients, &applier{client: h.attachWith(o, nil)})
		case 1:
			if len(clients) > 0 {
				i := random.IntN(len(clients))
				clients[i].subscription.Release()
				clients = slices.Delete(clients, i, i+1)
			}
		case 2:
			h.publishBy("client", text)
		case 3:
			h.dropMessages("log", true)
			h.publishBy("", text)
			h.dropMessages("log", false)
		case 4:
			p := broker.Publication{Data: []byte(text)}
			_, err := h.Publish(context.Background(), "log", p, broker.PublishOptions{})
			require.NoError(t, err)
		case 5:
			h.reset("log")
		default:
			h.publishBy("", text)
		}
		if random.IntN(3) == 0 {
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		}
		synctest.Wait()
		for _, c := range clients {
			c.apply(t)
		}
	}
	for _, c := range clients {
		for _, data := range c.data() {
			deltas += strings.Count(data, ">")
		}
	}
	return deltas
}
