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

func TestVerdicts(t *testing.T) {
	delivered := sequence{last: position("a", 10), heard: position("a", 10), known: 10}
	read := sequence{last: position("a", 10), heard: position("a", 7), known: 10}
	unknown := sequence{heard: position("a", 7)}
	for name, c := range map[string]struct {
		s    sequence
		p    broker.Publication
		want verdict
	}{
		"first of all":              {sequence{}, message("a", 5), verdictPass},
		"next":                      {delivered, message("a", 11), verdictPass},
		"no stream":                 {delivered, message("", 0), verdictPass},
		"a join":                    {delivered, broker.Publication{Kind: broker.KindJoin, Position: position("b", 1)}, verdictPass},
		"one is missing":            {delivered, message("a", 12), verdictGap},
		"another epoch":             {delivered, message("b", 11), verdictOther},
		"went back":                 {delivered, message("a", 8), verdictBack},
		"the latest again":          {delivered, message("a", 10), verdictBack},
		"read before it came":       {read, message("a", 8), verdictLate},
		"read, others did not come": {read, message("a", 10), verdictLate},
		"next after a read":         {read, message("a", 11), verdictPass},
		"back in what was read":     {read, message("a", 7), verdictBack},
		"back, nothing known":       {unknown, message("a", 7), verdictBack},
		"on, nothing known":         {unknown, message("a", 9), verdictPass},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, c.s.judge(c.p))
			repairing := c.s
			repairing.repairing = true
			if inStream(c.p) {
				require.Equal(t, verdictWait, repairing.judge(c.p), "during a repair")
				require.Equal(t, c.want, repairing.place(c.p), "after it")
			} else {
				require.Equal(t, verdictPass, repairing.judge(c.p), "what is in no stream does not wait")
			}
		})
	}
}

func TestFindings(t *testing.T) {
	now := sequence{last: position("a", 10), known: 12, restarts: 3}
	for name, c := range map[string]struct {
		m    mark
		top  broker.Position
		want finding
	}{
		"same":                    {mark{position("a", 8), 9, 3}, position("a", 9), findingSame},
		"ahead":                   {mark{position("a", 8), 9, 3}, position("a", 20), findingSame},
		"shorter than it was":     {mark{position("a", 8), 9, 3}, position("a", 8), findingBack},
		"ended":                   {mark{position("a", 8), 9, 3}, position("b", 30), findingOther},
		"restarted meanwhile":     {mark{position("a", 8), 9, 2}, position("a", 20), findingUnsure},
		"nothing was known then":  {mark{position("", 0), 0, 3}, position("a", 3), findingSame},
		"nor that of which epoch": {mark{position("", 0), 0, 3}, position("b", 3), findingUnsure},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, now.compare(c.m, c.top)) })
	}
}

func TestMeet(t *testing.T) {
	keeping := func() *sequence {
		s := &sequence{last: position("a", 10), known: 10}
		s.join()
		for i := range 3 {
			s.advance(message("a", uint64(11+i)))
			s.advance(message("a", uint64(11+i)))
		}
		return s
	}
	begun := mark{last: position("a", 10), known: 10}
	for name, c := range map[string]struct {
		s       *sequence
		top     broker.Position
		want    finding
		missing int
		at      uint64
	}{
		"nothing is known":       {&sequence{}, position("b", 4), findingSame, 0, 4},
		"just there":             {keeping(), position("a", 13), findingSame, 0, 13},
		"messages on their way":  {keeping(), position("a", 20), findingSame, 0, 20},
		"went out meanwhile":     {keeping(), position("a", 11), findingSame, 2, 13},
		"all went out meanwhile": {keeping(), position("a", 10), findingSame, 3, 13},
		"went back":              {keeping(), position("a", 9), findingBack, 0, 0},
		"other":                  {keeping(), position("b", 1), findingOther, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := begun
			if c.s.last.Epoch == "" {
				m = c.s.mark()
			}
			missing, at, f := c.s.meet(m, c.top)
			require.Equal(t, c.want, f)
			require.Len(t, missing, c.missing)
			require.True(t, contiguous(missing, c.top.Offset))
			require.Equal(t, c.at, at.Offset)
			require.GreaterOrEqual(t, c.s.known, at.Offset)
		})
	}
	t.Run("what went out was not kept", func(t *testing.T) {
		s := keeping()
		s.joined()
		_, _, f := s.meet(begun, position("a", 11))
		require.Equal(t, findingUnsure, f)
	})
	t.Run("what went out has a gap", func(t *testing.T) {
		s := keeping()
		s.skip(15)
		s.advance(message("a", 16))
		_, _, f := s.meet(begun, position("a", 13))
		require.Equal(t, findingUnsure, f)
	})
}

// A channel that members join all the time keeps what the next one needs, and no more.
func TestBacklogKeepsTheNewest(t *testing.T) {
	s := &sequence{}
	s.join()
	const last = 3*mostKept + 17
	for i := range last {
		s.advance(message("a", uint64(i+1)))
	}
	require.LessOrEqual(t, len(s.recent.publications), mostKept)
	missing, at, f := s.meet(mark{last: position("a", last-100), known: last - 100}, position("a", last-100))
	require.Equal(t, findingSame, f)
	require.Len(t, missing, 100)
	require.EqualValues(t, last, at.Offset)

	big := message("a", 1)
	big.Data = make([]byte, mostKeptBytes/2)
	var b backlog
	for range 10 {
		b.push(big)
		require.LessOrEqual(t, b.bytes, mostKeptBytes)
	}
	require.True(t, b.full())
	require.False(t, b.add(big))
	b.drop()
	require.True(t, b.add(big))
}

func TestWhatDoesNotFitIsReadLater(t *testing.T) {
	s := &sequence{last: position("a", 1), known: 1, repairing: true}
	for i := range mostKept {
		s.wait(message("a", uint64(i+3)))
	}
	require.False(t, s.unsettled)
	s.wait(message("a", mostKept+3))
	require.True(t, s.unsettled)
	require.EqualValues(t, mostKept+3, s.known)
}

// Messages of streams that are over, as reads have said, do not bring them back; those that come after one
// of the new stream do.
func TestMessagesOfStreamsThatAreOver(t *testing.T) {
	s := &sequence{last: position("a", 10), heard: position("a", 7), known: 10}
	s.replace(position("b", 3))
	s.replace(position("c", 2))
	require.Equal(t, verdictGone, s.place(message("a", 9)), "it was read before")
	require.Equal(t, verdictPast, s.place(message("a", 11)))
	s.advance(message("a", 11))
	require.Equal(t, verdictGone, s.place(message("a", 11)))
	require.Equal(t, verdictPast, s.place(message("b", 4)))
	require.Equal(t, position("c", 2), s.last)
	require.Equal(t, verdictOther, s.place(message("d", 1)))

	s.heard = position("c", 3)
	require.Equal(t, verdictOther, s.place(message("b", 4)), "messages are in order: it is newer")

	for i := range 3 * mostPast {
		s.replace(position(string(rune('e'+i)), 1))
	}
	require.Len(t, s.past, mostPast)
	s.restart(position("z", 1))
	require.Empty(t, s.past)
}
