package loss

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/centrifugal/centrifuge-go"
	"github.com/stretchr/testify/require"
)

// newSubscribedLedger returns a ledger whose subscription begins after a number.
func newSubscribedLedger(channel int, s *script, after uint64) *ledger {
	b := newLedger("listener 1", channel, s)
	b.subscribed(centrifuge.SubscribedEvent{StreamPosition: &centrifuge.StreamPosition{Offset: after}}, after)
	return b
}

func TestLedgerFindsMistakes(t *testing.T) {
	s := newScript()
	for name, c := range map[string]struct {
		got []uint64
		// want are the numbers of lost, duplicated and reordered publications.
		want  [3]int
		wrong []string
	}{
		"nothing":        {got: []uint64{4, 5, 6, 7}},
		"one never came": {got: []uint64{4, 6, 7}, want: [3]int{1, 0, 0}, wrong: []string{"number 5, offset 5"}},
		"the last ones":  {got: []uint64{4, 5}, want: [3]int{2, 0, 0}},
		"none":           {want: [3]int{4, 0, 0}},
		"one came twice": {
			got:   []uint64{4, 5, 5, 6, 7},
			want:  [3]int{0, 1, 0},
			wrong: []string{"number 5, offset 5, came twice"},
		},
		"one came late": {
			got:   []uint64{4, 6, 5, 7},
			want:  [3]int{0, 0, 1},
			wrong: []string{"did not come after 4", "number 5, offset 5, came after 6"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, other := newSubscribedLedger(0, s, 3), newSubscribedLedger(1, s, 0)
			for _, number := range c.got {
				b.publication(number, s.data(0, number))
			}
			b.await(7)
			require.Equal(t, c.want, [3]int{len(b.missing()), b.duplicated, b.reordered})
			lines := strings.Join(explain([]*ledger{other, b}, &history{}, func(int) *history { return &history{} }), "\n")
			if c.want == [3]int{} {
				require.Empty(t, lines)
				return
			}
			require.Contains(t, lines, "listener 1 in large:0: first 4")
			require.Contains(t, lines, "subscribed at 3")
			require.NotContains(t, lines, channelName(1))
			for i, what := range c.wrong {
				require.Contains(t, b.problemList()[i].what, what)
			}
		})
	}
}

func TestLedgerFindsLostPosition(t *testing.T) {
	for name, e := range map[string]centrifuge.SubscribedEvent{
		"not recovered":  {WasRecovering: true},
		"not recovering": {},
	} {
		b := newSubscribedLedger(1, newScript(), 3)
		e.StreamPosition = &centrifuge.StreamPosition{Offset: 9}
		b.subscribed(e, 9)
		require.Equal(t, 1, b.unrecovered, name)
		require.True(t, b.hasProblems(), name)
	}
}

// fault distinguishes every publication from other ones, from a part of it, and from one that contains a part of
// another.
func TestScriptFaultFindsChangedPublications(t *testing.T) {
	s := newScript()
	sizes := []int{}
	for _, channel := range []int{1, channelOf(0, 0), channelOf(0, 1)} {
		for number := uint64(1); number < 200; number++ {
			data := s.data(channel, number)
			next := s.data(channel, number+1)
			half := min(len(data), len(next)) / 2
			require.Empty(t, s.fault(channel, number, data))
			for _, bad := range [][]byte{
				next, s.data(channel+1, number), data[:len(data)-1], nil, append(slices.Clone(data), '}'),
				slices.Concat(data[:half], next[half:]),
			} {
				require.NotEmpty(t, s.fault(channel, number, bad))
			}
			if large(channel) {
				sizes = append(sizes, len(data))
			}
		}
	}
	slices.Sort(sizes)
	require.GreaterOrEqual(t, sizes[0], minText)
	require.Less(t, sizes[len(sizes)/2], maxText/4)
	require.Greater(t, sizes[len(sizes)-1], maxText/2)
	require.Less(t, sizes[len(sizes)-1], maxText+100)
	require.Equal(t, len(s.data(1, 8))+len(s.data(1, 9)), s.bytes(1, 7, 9))
}

func TestEventLogKeepsRecentEvents(t *testing.T) {
	var s eventLog
	for i := range 2 * maxEvents {
		s.add("%d", i)
	}
	require.Len(t, s.events(), maxEvents)
	require.Equal(t, strconv.Itoa(maxEvents), s.events()[0].what)
	s.freeze()
	for range 2 * maxEvents {
		s.add("after")
	}
	require.Len(t, s.events(), maxEvents+maxEventsAfter)
	require.Equal(t, strconv.Itoa(maxEvents), s.events()[0].what)
}

// explain adds the events of the gateways and publishers in the time of the ledger's log, and no others.
func TestExplainMergesHistories(t *testing.T) {
	s := newScript()
	var fleet, published history
	fleet.add("long before")
	all := []*ledger{}
	for range maxExplained + 2 {
		all = append(all, newSubscribedLedger(1, s, 0))
	}
	fleet.add("gateway-1 was killed")
	published.add("number 1 was taken")
	for _, b := range slices.Backward(all) {
		b.publication(2, s.data(2, 2))
	}
	all[len(all)-1].listener = "the first"
	lines := explain(all, &fleet, func(int) *history { return &published })
	require.Contains(t, lines[0], "the first in loss:1")
	require.Contains(t, lines[1], "what came at offset 2 is not number 2")
	require.Equal(t, "and 2 more channels of clients", lines[len(lines)-1])
	text := strings.Join(lines, "\n")
	require.Equal(t, maxExplained, strings.Count(text, "gateway-1 was killed"))
	require.Equal(t, maxExplained, strings.Count(text, "number 1 was taken"))
	require.NotContains(t, text, "long before")
}
