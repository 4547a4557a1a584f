package transport

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// text is a message of n bytes on the wire.
func text(n int) Frame { return encodeFrame(byte(Text), make([]byte, n-2)) }

// bounded are the bounds of a queue of n bytes, with a budget that is not the matter.
func bounded(n int) bounds { return bounds{bytes: n, budget: &budget{}} }

// fits pushes a frame that nothing may be missed for.
func (q *queue) fits(f Frame, b bounds) bool {
	m, ok := q.push(f, b)
	return ok && m == missed{}
}

// waits is the wire of what waits.
func (q *queue) waits() (all []string) {
	for _, f := range q.waiting {
		all = append(all, string(f.wire[2:]))
	}
	return all
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	q, b, five := queue{}, bounded(10), text(5)
	require.True(t, q.fits(five, b))
	require.True(t, q.fits(five, b))
	require.False(t, q.fits(five, b), "eleven bytes and more do not fit")

	out := q.take(b.budget)
	require.Len(t, out.frames, 2)
	require.False(t, q.fits(five, b), "what the writer holds is not written yet")
	q.written(b.budget)
	require.True(t, q.fits(five, b))
	require.Equal(t, 5, q.bytes)
}

func TestQueueIsBoundedInFrames(t *testing.T) {
	small := text(2)
	for limit, frames := range map[int]int{1 << 20: 16384, 10_000: 1024} {
		q, b := queue{}, bounded(limit)
		for range frames {
			require.True(t, q.fits(small, b))
		}
		require.False(t, q.fits(small, b), "small frames cost more than their bytes")
		q.force(small, b.budget)
		q.take(b.budget)
		q.written(b.budget)
		require.True(t, q.fits(small, b))
	}
}

func TestQueueLetsOneLargeFrameThrough(t *testing.T) {
	q, b, large := queue{}, bounded(10), text(100)
	require.True(t, q.fits(large, b), "else nobody could ever get it")
	require.False(t, q.fits(large, b))
}

func TestDroppedQueueKeepsWhatTheWriterHolds(t *testing.T) {
	q, b, f := queue{}, bounded(100), text(5)
	q.fits(f, b)
	out := q.take(b.budget)
	q.fits(f, b)
	q.drop(b.budget)
	require.Equal(t, 5, q.bytes)
	require.Len(t, out.frames, 1)
	q.written(b.budget)
	require.Zero(t, q.bytes)
	require.True(t, q.idle())
}

// named is a three-byte message of a stream.
func named(name string, s *DropGroup) Frame {
	return encodeFrame(byte(Text), []byte(name)).InDropGroup(s)
}

func TestPolicies(t *testing.T) {
	news, prices, rates := &DropGroup{Policy: DropOldest}, &DropGroup{Policy: LatestOnly}, &DropGroup{Policy: LatestOnly}
	cases := map[string]struct {
		frames []Frame
		stuck  bool
		// room is in frames of three bytes.
		room   int
		waits  []string
		missed missed
		ok     bool
	}{
		"room for all":                 {[]Frame{named("1", news), named("2", prices), named("3", prices)}, false, 3, []string{"1", "2", "3"}, missed{}, true},
		"the oldest goes":              {[]Frame{named("1", news), named("2", news), named("3", news)}, false, 2, []string{"2", "3"}, missed{DropOldest: 1}, true},
		"what may be missed goes":      {[]Frame{named("1", nil), named("2", news), named("3", nil)}, false, 2, []string{"1", "3"}, missed{DropOldest: 1}, true},
		"it is missed itself":          {[]Frame{named("1", nil), named("2", nil), named("3", news)}, false, 2, []string{"1", "2"}, missed{DropOldest: 1}, true},
		"nothing may be missed":        {[]Frame{named("1", nil), named("2", nil), named("3", nil)}, false, 2, []string{"1", "2"}, missed{Disconnect: 1}, false},
		"latest of a stuck client":     {[]Frame{named("1", prices), named("2", rates), named("3", prices), named("4", news)}, true, 9, []string{"2", "3", "4"}, missed{LatestOnly: 1}, true},
		"latest when there is no room": {[]Frame{named("1", nil), named("2", prices), named("3", prices)}, false, 2, []string{"1", "3"}, missed{LatestOnly: 1}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			q, b := queue{}, bounded(3*c.room)
			b.stuck = c.stuck
			var all missed
			ok := true
			for _, f := range c.frames {
				var m missed
				m, ok = q.push(f, b)
				for policy, n := range m {
					all[policy] += n
				}
			}
			require.Equal(t, c.waits, q.waits())
			require.Equal(t, c.missed, all)
			require.Equal(t, c.ok, ok)
			require.Equal(t, 3*len(c.waits), q.bytes)
			require.EqualValues(t, q.bytes, b.budget.used.Load())
		})
	}
}

func TestBudgetCountsMemoryOnce(t *testing.T) {
	b := bounds{bytes: 1 << 20, budget: &budget{max: 150}}
	queues, shared := make([]queue, 100), text(100)
	for i := range queues {
		require.True(t, queues[i].fits(shared, b))
	}
	require.EqualValues(t, 100, b.budget.used.Load(), "one message, however many wait for it")
	require.True(t, queues[0].fits(text(60), b), "up to the bound")
	require.EqualValues(t, 160, b.budget.used.Load())
	require.False(t, queues[1].fits(text(2), b), "who has a backlog must wait")
	fresh := queue{}
	require.True(t, fresh.fits(text(2), b), "who has none need not")

	for i := range queues {
		queues[i].take(b.budget)
		require.EqualValues(t, 162, b.budget.used.Load(), "it is not out yet")
	}
	for i := range queues {
		queues[i].written(b.budget)
	}
	require.EqualValues(t, 2, b.budget.used.Load())
	fresh.abandon(b.budget)
	require.Zero(t, b.budget.used.Load())
}

// What was pushed before the socket was full must not come after what is newer.
func TestLatestIsLast(t *testing.T) {
	prices := &DropGroup{Policy: LatestOnly}
	q, b := queue{}, bounded(1<<20)
	for _, early := range []string{"1", "2", "3"} {
		q.push(named(early, prices), b)
	}
	b.stuck = true
	m, ok := q.push(named("4", prices), b)
	require.True(t, ok)
	require.Equal(t, missed{LatestOnly: 3}, m)
	require.Equal(t, []string{"4"}, q.waits())
	require.EqualValues(t, q.bytes, b.budget.used.Load())
}

// Large values in the place of small ones are bounded as all others.
func TestLatestIsBoundedToo(t *testing.T) {
	prices, q, b := &DropGroup{Policy: LatestOnly}, queue{}, bounded(10)
	b.stuck = true
	q.push(named("1", nil), b)
	q.push(named("2", prices), b)
	_, ok := q.push(text(100).InDropGroup(prices), b)
	require.True(t, ok)
	require.LessOrEqual(t, q.bytes, 10)
}

// A queue that was emptied by its policy gives back what it was charged for.
func TestWipedQueueGivesItsChargeBack(t *testing.T) {
	news, b, q := &DropGroup{Policy: DropOldest}, bounded(1<<20), queue{}
	q.push(named("x", nil), b)
	q.take(b.budget)
	for range entriesAtOnce {
		q.push(named("1", news), b)
	}
	b.budget.max = 1
	q.push(named("2", news), b)
	q.written(b.budget)
	require.True(t, q.idle())
	q.reuse(b.budget)
	require.Zero(t, b.budget.used.Load())
}

func TestBudgetCountsLongQueues(t *testing.T) {
	b, q, small := bounded(1<<20), queue{}, text(2)
	for range 3 * entriesAtOnce {
		require.True(t, q.fits(small, b))
	}
	require.EqualValues(t, 2+3*entriesAtOnce*entryBytes, b.budget.used.Load())
	q.take(b.budget)
	q.written(b.budget)
	require.Zero(t, b.budget.used.Load())
}

// However little a socket takes at a time, what comes out is what was put in.
func TestBatchGoesOutInAnyPieces(t *testing.T) {
	var want []byte
	for _, scratch := range []int{1, 7, 64} {
		for step := 1; step < 9; step++ {
			q, b := queue{}, bounded(1<<20)
			want = want[:0]
			for n := 2; n < 40; n += 3 {
				f := encodeFrame(byte(Binary), []byte{byte(n), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}[:n%11])
				want = append(want, f.wire...)
				q.force(f, b.budget)
			}
			var got []byte
			for out := q.take(b.budget); !out.isOut(); {
				piece := out.piece(make([]byte, 0, scratch))
				piece = piece[:min(step, len(piece))]
				got = append(got, piece...)
				out.advance(len(piece))
			}
			require.Equal(t, want, got)
		}
	}
}

func TestCloseFrames(t *testing.T) {
	require.Equal(t, []byte{0x88, 0}, closeFrame(Close{Code: CodeNoStatus}).wire)
	require.Equal(t, []byte{0x88, 4, 0x03, 0xE8, 'o', 'k'}, closeFrame(Close{1000, "ok"}).wire)
	long := ""
	for range 60 {
		long += "äö"
	}
	f := closeFrame(Close{1000, long})
	require.LessOrEqual(t, f.Len(), 2+125, "control frames hold 125 bytes")
	require.True(t, utf8.Valid(f.wire[4:]), "the reason is cut between characters")
}

func TestFrameLengths(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		f := NewFrame(Binary, make([]byte, n))
		header := map[bool]int{true: 2}[n < 126]
		switch {
		case n >= 1<<16:
			header = 10
		case n >= 126:
			header = 4
		}
		require.Equal(t, n+header, f.Len())
	}
}

// answering is an answer of n bytes on the wire.
func answering(n int) Frame {
	f := text(n)
	f.answer = true
	return f
}

// What the client asked for takes nothing of the room for the rest, and is bounded by itself.
func TestAnswersHaveRoomOfTheirOwn(t *testing.T) {
	q, b := queue{}, bounded(10)
	require.True(t, q.fits(answering(10), b))
	require.True(t, q.fits(text(5), b))
	require.True(t, q.fits(text(5), b))
	require.False(t, q.fits(text(5), b), "as without answers")
	require.True(t, q.fits(answering(10), b), "who answers much waits for room, and who answers little may have little left")
	require.False(t, q.fits(answering(2), b))
	require.Equal(t, 30, q.bytes)
	require.Equal(t, 20, q.answers)

	q.take(b.budget)
	require.False(t, q.fits(answering(2), b), "what the writer holds is not written yet")
	q.written(b.budget)
	require.Zero(t, q.bytes)
	require.Zero(t, q.answers)
	require.True(t, q.fits(answering(10), b))
	q.drop(b.budget)
	require.Zero(t, q.answers)
	require.Zero(t, b.budget.used.Load())
}

func TestThereIsRoomWhenLessThanHalfWaits(t *testing.T) {
	q, b := queue{room: make(chan struct{})}, bounded(10)
	require.True(t, q.hasRoom(10))
	require.True(t, q.fits(text(5), b))
	require.True(t, q.hasRoom(10))
	require.True(t, q.fits(answering(2), b))
	require.False(t, q.hasRoom(10))
	waits := q.room
	q.abandon(b.budget)
	require.NotNil(t, waits)
	_, open := <-waits
	require.False(t, open, "nobody waits for who is gone")
	require.Nil(t, q.room)
}
