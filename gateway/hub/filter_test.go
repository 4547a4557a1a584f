package hub_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
)

// wanting returns the options of a positioned subscriber that wants publications whose tag k has a value.
func wanting(t *testing.T, value string) hub.AttachOptions {
	t.Helper()
	f, err := tagfilter.New(tagfilter.Node{Compare: "eq", Key: "k", Value: value})
	require.NoError(t, err)
	return hub.AttachOptions{Positioned: true, JoinLeave: true, InPresence: true, Filter: f}
}

// attachWith attaches a subscriber of the channel with a stream.
func (h *harness) attachWith(o hub.AttachOptions, since *broker.Position) *client {
	h.t.Helper()
	c := &client{recorder: &recorder{encoder: h.encoder}}
	var err error
	c.subscription, err = h.Hub.Subscribe(context.Background(), "log")
	require.NoError(h.t, err)
	first := func(r hub.AttachResult) { c.result = r }
	require.NoError(h.t, c.subscription.AttachPositioned(context.Background(), c.recorder, o, since, first))
	return c
}

// publishTagged publishes numbers whose tag k is even or odd.
func (h *harness) publishTagged(from, to int) {
	for i := from; i <= to; i++ {
		p := broker.Publication{
			Data: []byte(strconv.Itoa(i)), Tags: map[string]string{"k": []string{"even", "odd"}[i%2]},
		}
		_, err := h.Publish(context.Background(), "log", p, broker.PublishOptions{History: streamRule.History})
		require.NoError(h.t, err)
	}
}

func TestSubscriptionAttachWithAFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishTagged(1, 4)
		all, even, odd := h.attachPositioned(at(2, "e1")), h.attachWith(wanting(t, "even"), at(1, "e1")),
			h.attachWith(wanting(t, "odd"), at(2, "e1"))
		require.Equal(t, []string{"2", "4"}, dataOf(even.result.Publications))
		require.True(t, even.result.Recovered)
		require.Equal(t, []string{"3"}, dataOf(odd.result.Publications))
		require.Equal(t, *at(4, "e1"), odd.result.Position)
		require.Equal(t, []string{"3", "4"}, dataOf(all.result.Publications), "a filter takes nothing away from others")

		before := h.encoder.calls
		h.publishTagged(5, 8)
		require.Equal(t, []string{"6", "8"}, even.data())
		require.Equal(t, []string{"5", "7"}, odd.data())
		require.Equal(t, numbers(5, 8), all.data())
		require.Equal(t, 4, h.encoder.calls-before, "each is encoded once, whatever filters there are")

		// What a filter holds back is not missing: the next one is the next one. What is lost is repaired.
		h.publishLost(9, 9)
		h.publishTagged(10, 11)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"6", "8", "10"}, even.data())
		require.Equal(t, []string{"5", "7", "11"}, odd.data())
		require.Equal(t, numbers(5, 11), all.data())
		for _, c := range []*client{all, even, odd} {
			require.Zero(t, c.timesInsufficient())
		}

		// Joins and leaves have no tags.
		h.Deliver("log", broker.Publication{Kind: broker.KindJoin, Info: &broker.ClientInfo{Client: "c"}})
		require.Equal(t, 4, even.count())
		require.Equal(t, 7, all.count(), "it did not ask for them")
		subscribers := 0
		h.CountSubscribers(func(_ string, n int) { subscribers = n })
		require.Equal(t, 3, subscribers)

		even.subscription.Release()
		odd.subscription.Release()
		h.publishTagged(12, 13)
		require.Equal(t, 4, even.count())
		require.Equal(t, numbers(5, 11), all.data()[:7])
	})
}

// Subscribers come and go while a delivery goes through their groups.
func TestSubscriptionWithAFilterLeavesDuringADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		even, odd := wanting(t, "even"), wanting(t, "odd")
		all := []*client{h.attachWith(even, nil), h.attachWith(even, nil), h.attachWith(odd, nil), h.attachWith(even, nil)}
		late := &recorder{encoder: h.encoder}
		h.encoder.skips = func(p broker.Publication) bool {
			if string(p.Data) == "2" {
				for _, c := range []*client{all[0], all[2], all[3]} {
					c.subscription.Release()
				}
				s, err := h.Hub.Subscribe(context.Background(), "log")
				require.NoError(t, err)
				s.Attach(late, odd, nil)
			}
			return false
		}
		h.publishTagged(2, 2)
		require.Equal(t, 3, h.GroupsOf("log"), "that of all, that of who has stayed, and that of who has come")
		h.publishTagged(3, 4)
		require.Equal(t, []string{"2", "4"}, all[1].data())
		require.Equal(t, []string{"3"}, late.data())
		for _, c := range []*client{all[0], all[2], all[3]} {
			require.Empty(t, c.data())
		}
		h.encoder.skips = func(broker.Publication) bool {
			all[1].subscription.Release()
			return false
		}
		h.publishTagged(6, 6)
		require.Equal(t, 2, h.GroupsOf("log"))
	})
}

// A publication that few want is no broadcast, however many there are with other filters.
func TestSubscriptionWithAFilterIsNoPartOfABroadcast(t *testing.T) {
	h := newHarness(t, hub.Options{})
	few, many := wanting(t, "even"), wanting(t, "odd")
	m := h.attachWith(few, nil)
	for range 300 {
		h.attachWith(many, nil)
	}
	broadcasts := 0
	for _, p := range []string{"even", "odd"} {
		h.Deliver("log", broker.Publication{Data: []byte(p), Tags: map[string]string{"k": p}})
	}
	for f := range h.encoder.frames {
		if f.IsBroadcast() {
			broadcasts++
			require.Equal(t, "odd", string(h.encoder.frames[f].Data))
		}
	}
	require.Equal(t, 1, broadcasts)
	require.Equal(t, 1, m.count())
}

// The latest publication that a filter matches is looked for in all of the history, within the bound of a read.
func TestSubscriptionAttachPositionedRecoversTheLatestThatMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishTagged(1, 6)
		latest := func(value string, maxBytes int) hub.AttachOptions {
			o := wanting(t, value)
			o.RecoverLatest, o.MaxRecoveredBytes = true, maxBytes
			return o
		}
		for since, want := range map[uint64][]string{0: {"5"}, 2: {"5"}, 4: {"5"}, 5: {}, 6: {}} {
			m := h.attachWith(latest("odd", 1<<20), at(since, "e1"))
			require.True(t, m.result.Recovered, since)
			require.Equal(t, want, dataOf(m.result.Publications), since)
		}
		reads, _ := h.counts()
		require.Equal(t, 5, reads, "one for each client")

		s, err := h.Hub.Subscribe(t.Context(), "log")
		require.NoError(t, err)
		first := func(hub.AttachResult) {}
		err = s.AttachPositioned(t.Context(), &recorder{encoder: h.encoder}, latest("none", 1), at(0, ""), first)
		require.ErrorIs(t, err, broker.ErrTooLarge, "it may be beyond the bound")
		require.False(t, h.attachWith(latest("none", 0), at(0, "")).result.Recovered)

		// What came while the stream was read counts as well.
		open := make(chan struct{})
		h.onRead(nil, blockUntil(open))
		attached := make(chan *client)
		o := latest("even", 0)
		go func() {
			m := &client{recorder: &recorder{encoder: h.encoder}}
			s, _ := h.Hub.Subscribe(context.Background(), "log")
			_ = s.AttachPositioned(context.Background(), m.recorder, o, at(0, ""), func(r hub.AttachResult) { m.result = r })
			attached <- m
		}()
		synctest.Wait()
		h.publishTagged(7, 9)
		close(open)
		require.Equal(t, []string{"8"}, dataOf((<-attached).result.Publications))
	})
}

// A subscriber does not miss a publication that cannot be encoded, when its filter does not match it.
func TestSubscriptionWithAFilterOfWhatCannotBeEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		even, odd := h.attachWith(wanting(t, "even"), nil), h.attachWith(wanting(t, "odd"), nil)
		h.encoder.fails = func(p broker.Publication) bool { return string(p.Data) == "2" }
		h.publishTagged(1, 3)
		require.Equal(t, 1, even.timesInsufficient())
		require.Zero(t, odd.timesInsufficient())
		require.Equal(t, []string{"1", "3"}, odd.data())
	})
}

// A channel keeps no group of subscribers with a filter when they have left.
func TestSubscriptionFiltersLeaveNoGroups(t *testing.T) {
	h := newHarness(t, hub.Options{})
	h.attachPositioned(nil)
	for i := range 100 {
		c := h.attachWith(wanting(t, strconv.Itoa(i)), nil)
		same := h.attachWith(wanting(t, strconv.Itoa(i)), nil)
		require.Equal(t, 2, h.GroupsOf("log"), "the group of all, and one for both")
		c.subscription.Release()
		same.subscription.Release()
	}
	require.Equal(t, 1, h.GroupsOf("log"))
}
