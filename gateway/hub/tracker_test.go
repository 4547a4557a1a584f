package hub

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

func position(epoch string, offset uint64) broker.Position {
	return broker.Position{Epoch: epoch, Offset: offset}
}

func message(epoch string, offset uint64) broker.Publication {
	return broker.Publication{Position: position(epoch, offset)}
}

func TestStreamTrackerClassifiesMessages(t *testing.T) {
	delivered := streamTracker{delivered: position("a", 10), lastMessage: position("a", 10), knownTop: 10}
	read := streamTracker{delivered: position("a", 10), lastMessage: position("a", 7), knownTop: 10}
	unknown := streamTracker{lastMessage: position("a", 7)}
	join := broker.Publication{Kind: broker.KindJoin, Position: position("b", 1)}
	for name, c := range map[string]struct {
		tracker streamTracker
		p       broker.Publication
		want    verdict
	}{
		"first of all":                 {streamTracker{}, message("a", 5), verdictNext},
		"next":                         {delivered, message("a", 11), verdictNext},
		"no stream":                    {delivered, message("", 0), verdictNext},
		"a join":                       {delivered, join, verdictNext},
		"one is missing":               {delivered, message("a", 12), verdictGap},
		"another epoch":                {delivered, message("b", 11), verdictNewStream},
		"rolled back":                  {delivered, message("a", 8), verdictRolledBack},
		"the latest again":             {delivered, message("a", 10), verdictRolledBack},
		"read before it came":          {read, message("a", 8), verdictDelivered},
		"read, others did not come":    {read, message("a", 10), verdictDelivered},
		"next after a read":            {read, message("a", 11), verdictNext},
		"rolled back in what was read": {read, message("a", 7), verdictRolledBack},
		"rolled back, nothing known":   {unknown, message("a", 7), verdictRolledBack},
		"next, nothing known":          {unknown, message("a", 9), verdictNext},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, c.tracker.classify(c.p))
			repairing := c.tracker
			repairing.repairing = true
			if inStream(c.p) {
				require.Equal(t, verdictBuffer, repairing.classify(c.p), "during a repair")
				require.Equal(t, c.want, repairing.classifyDelivered(c.p), "after it")
			} else {
				require.Equal(t, verdictNext, repairing.classify(c.p), "a message outside of streams does not wait")
			}
		})
	}
}

func TestStreamTrackerComparesReads(t *testing.T) {
	now := streamTracker{delivered: position("a", 10), knownTop: 12, generation: 3}
	for name, c := range map[string]struct {
		before snapshot
		top    broker.Position
		want   comparison
	}{
		"same":                    {snapshot{position("a", 8), 9, 3}, position("a", 9), comparisonSame},
		"ahead":                   {snapshot{position("a", 8), 9, 3}, position("a", 20), comparisonSame},
		"shorter than it was":     {snapshot{position("a", 8), 9, 3}, position("a", 8), comparisonRolledBack},
		"ended":                   {snapshot{position("a", 8), 9, 3}, position("b", 30), comparisonReplaced},
		"restarted meanwhile":     {snapshot{position("a", 8), 9, 2}, position("a", 20), comparisonUncertain},
		"nothing was known then":  {snapshot{position("", 0), 0, 3}, position("a", 3), comparisonSame},
		"nor that of which epoch": {snapshot{position("", 0), 0, 3}, position("b", 3), comparisonUncertain},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, now.compare(c.before, c.top)) })
	}
}

func TestStreamTrackerAttachPoint(t *testing.T) {
	keeping := func() *streamTracker {
		tracker := &streamTracker{delivered: position("a", 10), knownTop: 10}
		tracker.beginRecovery()
		for i := range 3 {
			tracker.advance(message("a", uint64(11+i)))
			tracker.advance(message("a", uint64(11+i)))
		}
		return tracker
	}
	before := snapshot{delivered: position("a", 10), knownTop: 10}
	for name, c := range map[string]struct {
		tracker *streamTracker
		top     broker.Position
		want    comparison
		missed  int
		at      uint64
	}{
		"nothing is known":           {&streamTracker{}, position("b", 4), comparisonSame, 0, 4},
		"just there":                 {keeping(), position("a", 13), comparisonSame, 0, 13},
		"messages on their way":      {keeping(), position("a", 20), comparisonSame, 0, 20},
		"some delivered meanwhile":   {keeping(), position("a", 11), comparisonSame, 2, 13},
		"all of it meanwhile":        {keeping(), position("a", 10), comparisonSame, 3, 13},
		"rolled back":                {keeping(), position("a", 9), comparisonRolledBack, 0, 0},
		"replaced by another stream": {keeping(), position("b", 1), comparisonReplaced, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := before
			if c.tracker.delivered.Epoch == "" {
				before = c.tracker.snapshot()
			}
			missed, at, found := c.tracker.attachPoint(before, c.top)
			require.Equal(t, c.want, found)
			require.Len(t, missed, c.missed)
			require.True(t, contiguous(missed, c.top.Offset))
			require.Equal(t, c.at, at.Offset)
			require.GreaterOrEqual(t, c.tracker.knownTop, at.Offset)
		})
	}
	t.Run("what was delivered was not kept", func(t *testing.T) {
		tracker := keeping()
		tracker.endRecovery()
		_, _, found := tracker.attachPoint(before, position("a", 11))
		require.Equal(t, comparisonUncertain, found)
	})
	t.Run("what was delivered has a gap", func(t *testing.T) {
		tracker := keeping()
		tracker.skipTo(15)
		tracker.advance(message("a", 16))
		_, _, found := tracker.attachPoint(before, position("a", 13))
		require.Equal(t, comparisonUncertain, found)
	})
}

// A channel that subscribers recover in all the time keeps what the next one needs, and no more.
func TestBacklogKeepsTheNewest(t *testing.T) {
	tracker := &streamTracker{}
	tracker.beginRecovery()
	const last = 3*maxBacklog + 17
	for i := range last {
		tracker.advance(message("a", uint64(i+1)))
	}
	require.LessOrEqual(t, len(tracker.recent.publications), maxBacklog)
	before := snapshot{delivered: position("a", last-100), knownTop: last - 100}
	missed, at, found := tracker.attachPoint(before, position("a", last-100))
	require.Equal(t, comparisonSame, found)
	require.Len(t, missed, 100)
	require.EqualValues(t, last, at.Offset)

	big := message("a", 1)
	big.Data = make([]byte, maxBacklogBytes/2)
	var b backlog
	for range 10 {
		b.push(big)
		require.LessOrEqual(t, b.bytes, maxBacklogBytes)
	}
	require.True(t, b.full())
	require.False(t, b.add(big))
	b.drop()
	require.True(t, b.add(big))
}

func TestStreamTrackerRepairsAgainForWhatDoesNotFit(t *testing.T) {
	tracker := &streamTracker{delivered: position("a", 1), knownTop: 1, repairing: true}
	for i := range maxBacklog {
		tracker.buffer(message("a", uint64(i+3)))
	}
	require.False(t, tracker.repairAgain)
	tracker.buffer(message("a", maxBacklog+3))
	require.True(t, tracker.repairAgain)
	require.EqualValues(t, maxBacklog+3, tracker.knownTop)
}

// Messages of streams that reads have shown to be over do not bring those streams back. Messages that come after one of
// the new stream do.
func TestStreamTrackerMessagesOfEndedStreams(t *testing.T) {
	tracker := &streamTracker{delivered: position("a", 10), lastMessage: position("a", 7), knownTop: 10}
	tracker.replace(position("b", 3))
	tracker.replace(position("c", 2))
	require.Equal(t, verdictEndedDelivered, tracker.classifyDelivered(message("a", 9)), "it was read before")
	require.Equal(t, verdictEnded, tracker.classifyDelivered(message("a", 11)))
	tracker.advance(message("a", 11))
	require.Equal(t, verdictEndedDelivered, tracker.classifyDelivered(message("a", 11)))
	require.Equal(t, verdictEnded, tracker.classifyDelivered(message("b", 4)))
	require.Equal(t, position("c", 2), tracker.delivered)
	require.Equal(t, verdictNewStream, tracker.classifyDelivered(message("d", 1)))

	tracker.lastMessage = position("c", 3)
	require.Equal(t, verdictNewStream, tracker.classifyDelivered(message("b", 4)), "messages are in order: it is newer")

	for i := range 3 * maxEnded {
		tracker.replace(position(string(rune('e'+i)), 1))
	}
	require.Len(t, tracker.ended, maxEnded)
	tracker.restart(position("z", 1))
	require.Empty(t, tracker.ended)
}
