package gateway_test

import (
	"fmt"
	"testing"

	cf "github.com/centrifugal/protocol"
	"github.com/stretchr/testify/require"
)

// publishTagged publishes numbers, whose tag n is the number and whose tag kind is even or odd.
func (r *testGateway) publishTagged(t *testing.T, channel string, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		r.callAPI(t, "publish", fmt.Sprintf(`{"channel":%q,"data":%d,"tags":{"n":"%d","kind":%q}}`, channel, n, n,
			[]string{"even", "odd"}[n%2]))
	}
}

// A filter by tags holds for what a client gets live, and for what it recovers.
func TestFilterByTags(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				channel := "tagged:" + name
				c, result := one.connectWith(t, encoding, &cf.ConnectRequest{})
				odd := &cf.FilterNode{Op: "and", Nodes: []*cf.FilterNode{
					{Key: "kind", Cmp: "eq", Val: "odd"}, {Op: "not", Nodes: []*cf.FilterNode{{Key: "n", Cmp: "lt", Val: "2.5"}}},
				}}
				begun := c.subscribe(&cf.SubscribeRequest{Channel: channel, Tf: odd, Delta: "fossil"})
				require.False(t, begun.Delta, "a filter leaves gaps")
				all := one.connectAnonymous(t)
				all.subscribeTo(channel)
				two.publishTagged(t, channel, 1, 6)
				for n := 1; n <= 6; n++ {
					require.Equal(t, fmt.Sprint(n), string(all.publication().Data))
				}
				for _, n := range []uint64{3, 5} {
					p := c.publication()
					require.Equal(t, n, p.Offset)
					require.Equal(t, fmt.Sprint(n), string(p.Data))
				}
				c.quiet()
				members := all.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: channel}}).Presence.Presence
				require.Contains(t, members, result.Client)

				c.abort()
				c, _ = two.connectWith(t, encoding, &cf.ConnectRequest{})
				two.publishTagged(t, channel, 7, 8)
				recovered := c.subscribe(&cf.SubscribeRequest{
					Channel: channel, Tf: odd, Recover: true, Epoch: begun.Epoch, Offset: 3,
				})
				require.True(t, recovered.Recovered)
				require.Len(t, recovered.Publications, 2)
				require.EqualValues(t, 5, recovered.Publications[0].Offset)
				require.EqualValues(t, 7, recovered.Publications[1].Offset)
				two.publishTagged(t, channel, 9, 9)
				require.EqualValues(t, 9, c.publication().Offset)
				c.abort()
				all.abort()
			})
		}
	}, withRules, withKey)
}

// A filter that cannot be used, or that the rule does not allow, is refused and leaves nothing behind.
func TestFilterByTagsIsRefused(t *testing.T) {
	t.Parallel()
	g := start(t, withRules)
	c := g.connectAnonymous(t)
	deep := &cf.FilterNode{Key: "a", Cmp: "ex"}
	for range 1000 {
		deep = &cf.FilterNode{Op: "not", Nodes: []*cf.FilterNode{deep}}
	}
	for name, filter := range map[string]*cf.FilterNode{
		"empty":      {},
		"unknown":    {Key: "a", Cmp: "like", Val: "b"},
		"an op":      {Op: "xor", Nodes: []*cf.FilterNode{{Key: "a", Cmp: "ex"}}},
		"deep":       deep,
		"no numbers": {Key: "a", Cmp: "gt", Val: "b"},
		"a null":     {Op: "and", Nodes: []*cf.FilterNode{nil}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, uint32(107), c.code(&cf.Command{
				Subscribe: &cf.SubscribeRequest{Channel: "tagged:refused", Tf: filter},
			}))
		})
	}
	require.Equal(t, uint32(108), c.code(&cf.Command{
		Subscribe: &cf.SubscribeRequest{Channel: "kept:refused", Tf: &cf.FilterNode{Key: "a", Cmp: "ex"}},
	}))
	c.subscribeTo("tagged:refused")
	c.subscribeTo("kept:refused")
	for n := range 33 {
		reply := c.call(&cf.Command{Subscribe: &cf.SubscribeRequest{
			Channel: fmt.Sprint("tagged:", n), Tf: &cf.FilterNode{Key: "a", Cmp: "ex"},
		}})
		if n < 32 {
			require.NotNil(t, reply.Subscribe)
			continue
		}
		require.Equal(t, uint32(106), reply.Error.Code)
		require.Contains(t, reply.Error.Message, "32")
	}
	c.call(&cf.Command{Unsubscribe: &cf.UnsubscribeRequest{Channel: "tagged:0"}})
	c.subscribe(&cf.SubscribeRequest{Channel: "tagged:32", Tf: &cf.FilterNode{Key: "a", Cmp: "ex"}})
}

// With recoveryMode Cache a client gets the latest publication that its filter matches.
func TestFilterByTagsRecoversTheLatestThatMatches(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		kind := func(kind string) *cf.FilterNode { return &cf.FilterNode{Key: "kind", Cmp: "eq", Val: kind} }
		recoverFrom := func(offset uint64, epoch string, f *cf.FilterNode) (recovered bool, offsets []uint64) {
			c := one.connectAnonymous(t)
			defer c.abort()
			r := c.subscribe(&cf.SubscribeRequest{Channel: "state:x", Tf: f, Recover: true, Offset: offset, Epoch: epoch})
			for _, p := range r.Publications {
				offsets = append(offsets, p.Offset)
			}
			return r.Recovered, offsets
		}
		recovered, _ := recoverFrom(0, "", kind("odd"))
		require.False(t, recovered, "an empty stream")
		two.publishTagged(t, "state:x", 1, 6)
		c := one.connectAnonymous(t)
		epoch := c.subscribe(&cf.SubscribeRequest{Channel: "state:x"}).Epoch
		for name, want := range map[string]struct {
			offset    uint64
			epoch     string
			filter    *cf.FilterNode
			recovered bool
			offsets   []uint64
		}{
			"no position":                   {0, "", kind("odd"), true, []uint64{5}},
			"no position, the latest":       {0, "", kind("even"), true, []uint64{6}},
			"no position, nothing matches":  {0, "", kind("none"), false, nil},
			"behind":                        {2, epoch, kind("odd"), true, []uint64{5}},
			"behind what does not match":    {5, epoch, kind("odd"), true, nil},
			"at the end":                    {6, epoch, kind("odd"), true, nil},
			"at the end, nothing matches":   {6, epoch, kind("none"), true, nil},
			"of another epoch":              {5, "other", kind("odd"), true, []uint64{5}},
			"ahead, as after a lost stream": {9, epoch, kind("odd"), true, []uint64{5}},
			"no filter":                     {5, epoch, nil, true, []uint64{6}},
		} {
			recovered, offsets := recoverFrom(want.offset, want.epoch, want.filter)
			require.Equal(t, want.recovered, recovered, name)
			require.Equal(t, want.offsets, offsets, name)
		}
	}, withRules, withKey)
}
