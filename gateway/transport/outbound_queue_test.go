package transport

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// text returns a frame of n bytes.
func text(n int) Frame { return encodeFrame(byte(Text), make([]byte, n-2)) }

// limited returns the limits of a queue of n bytes, with an unlimited budget.
func limited(n int) queueLimits { return queueLimits{bytes: n, budget: &budget{}} }

// fits pushes a frame, and reports whether it was queued without dropping a message.
func (q *outboundQueue) fits(f Frame, b queueLimits) bool {
	m, ok := q.push(f, b)
	return ok && m == droppedCounts{}
}

// contents returns the messages that wait.
func (q *outboundQueue) contents() (all []string) {
	for _, f := range q.waiting {
		all = append(all, string(f.encoded[2:]))
	}
	return all
}

func TestQueueIsLimitedInBytes(t *testing.T) {
	q, b, five := outboundQueue{}, limited(10), text(5)
	require.True(t, q.fits(five, b))
	require.True(t, q.fits(five, b))
	require.False(t, q.fits(five, b), "15 bytes do not fit")

	out := q.nextBatch(b.budget)
	require.Len(t, out.frames, 2)
	require.False(t, q.fits(five, b), "the batch is not written yet")
	q.batchWritten(b.budget)
	require.True(t, q.fits(five, b))
	require.Equal(t, 5, q.bytes)
}

func TestQueueIsLimitedInFrames(t *testing.T) {
	small := text(2)
	for limit, frames := range map[int]int{1 << 20: 16384, 10_000: 1024} {
		q, b := outboundQueue{}, limited(limit)
		for range frames {
			require.True(t, q.fits(small, b))
		}
		require.False(t, q.fits(small, b), "small frames cost more than their bytes")
		q.add(small, b.budget)
		q.nextBatch(b.budget)
		q.batchWritten(b.budget)
		require.True(t, q.fits(small, b))
	}
}

func TestQueueLetsOneLargeFrameThrough(t *testing.T) {
	q, b, large := outboundQueue{}, limited(10), text(100)
	require.True(t, q.fits(large, b), "otherwise no client could receive it")
	require.False(t, q.fits(large, b))
}

func TestQueueDiscardKeepsTheBatch(t *testing.T) {
	q, b, f := outboundQueue{}, limited(100), text(5)
	q.fits(f, b)
	out := q.nextBatch(b.budget)
	q.fits(f, b)
	q.discardWaiting(b.budget)
	require.Equal(t, 5, q.bytes)
	require.Len(t, out.frames, 1)
	q.batchWritten(b.budget)
	require.Zero(t, q.bytes)
	require.True(t, q.isEmpty())
}

// named returns a frame of three bytes in a group.
func named(name string, s *DropGroup) Frame {
	return encodeFrame(byte(Text), []byte(name)).InDropGroup(s)
}

func TestQueueFollowsDropPolicies(t *testing.T) {
	news, prices, rates := &DropGroup{Policy: DropOldest}, &DropGroup{Policy: LatestOnly}, &DropGroup{Policy: LatestOnly}
	cases := map[string]struct {
		frames  []Frame
		blocked bool
		// room is in frames of three bytes.
		room    int
		waits   []string
		dropped droppedCounts
		ok      bool
	}{
		"room for all": {[]Frame{named("1", news), named("2", prices), named("3", prices)}, false, 3,
			[]string{"1", "2", "3"}, droppedCounts{}, true},
		"the oldest goes": {[]Frame{named("1", news), named("2", news), named("3", news)}, false, 2,
			[]string{"2", "3"}, droppedCounts{DropOldest: 1}, true},
		"a droppable one goes": {[]Frame{named("1", nil), named("2", news), named("3", nil)}, false, 2,
			[]string{"1", "3"}, droppedCounts{DropOldest: 1}, true},
		"the new one goes": {[]Frame{named("1", nil), named("2", nil), named("3", news)}, false, 2,
			[]string{"1", "2"}, droppedCounts{DropOldest: 1}, true},
		"nothing is droppable": {[]Frame{named("1", nil), named("2", nil), named("3", nil)}, false, 2,
			[]string{"1", "2"}, droppedCounts{Disconnect: 1}, false},
		"latest of a blocked client": {[]Frame{named("1", prices), named("2", rates), named("3", prices), named("4", news)},
			true, 9, []string{"2", "3", "4"}, droppedCounts{LatestOnly: 1}, true},
		"latest when there is no room": {[]Frame{named("1", nil), named("2", prices), named("3", prices)}, false, 2,
			[]string{"1", "3"}, droppedCounts{LatestOnly: 1}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			q, b := outboundQueue{}, limited(3*c.room)
			b.writeBlocked = c.blocked
			var all droppedCounts
			ok := true
			for _, f := range c.frames {
				var m droppedCounts
				m, ok = q.push(f, b)
				for policy, n := range m {
					all[policy] += n
				}
			}
			require.Equal(t, c.waits, q.contents())
			require.Equal(t, c.dropped, all)
			require.Equal(t, c.ok, ok)
			require.Equal(t, 3*len(c.waits), q.bytes)
			require.EqualValues(t, q.bytes, b.budget.used.Load())
		})
	}
}

func TestBudgetCountsASharedFrameOnce(t *testing.T) {
	b := queueLimits{bytes: 1 << 20, budget: &budget{max: 150}}
	queues, shared := make([]outboundQueue, 100), text(100)
	for i := range queues {
		require.True(t, queues[i].fits(shared, b))
	}
	require.EqualValues(t, 100, b.budget.used.Load(), "one message in many queues")
	require.True(t, queues[0].fits(text(60), b), "up to the bound")
	require.EqualValues(t, 160, b.budget.used.Load())
	require.False(t, queues[1].fits(text(2), b), "this client has a backlog")
	fresh := outboundQueue{}
	require.True(t, fresh.fits(text(2), b), "this one has none")

	for i := range queues {
		queues[i].nextBatch(b.budget)
		require.EqualValues(t, 162, b.budget.used.Load(), "it is not written yet")
	}
	for i := range queues {
		queues[i].batchWritten(b.budget)
	}
	require.EqualValues(t, 2, b.budget.used.Load())
	fresh.abandon(b.budget)
	require.Zero(t, b.budget.used.Load())
}

// A message from before the socket was full must not follow a newer one.
func TestQueueKeepsTheLatestOnly(t *testing.T) {
	prices := &DropGroup{Policy: LatestOnly}
	q, b := outboundQueue{}, limited(1<<20)
	for _, early := range []string{"1", "2", "3"} {
		q.push(named(early, prices), b)
	}
	b.writeBlocked = true
	m, ok := q.push(named("4", prices), b)
	require.True(t, ok)
	require.Equal(t, droppedCounts{LatestOnly: 3}, m)
	require.Equal(t, []string{"4"}, q.contents())
	require.EqualValues(t, q.bytes, b.budget.used.Load())
}

// The limit also holds when a large message replaces a small one.
func TestQueueLimitsTheLatest(t *testing.T) {
	prices, q, b := &DropGroup{Policy: LatestOnly}, outboundQueue{}, limited(10)
	b.writeBlocked = true
	q.push(named("1", nil), b)
	q.push(named("2", prices), b)
	_, ok := q.push(text(100).InDropGroup(prices), b)
	require.True(t, ok)
	require.LessOrEqual(t, q.bytes, 10)
}

// A queue that its drop policies emptied refunds its entries.
func TestQueueRefundsDroppedEntries(t *testing.T) {
	news, b, q := &DropGroup{Policy: DropOldest}, limited(1<<20), outboundQueue{}
	q.push(named("x", nil), b)
	q.nextBatch(b.budget)
	for range entriesPerCharge {
		q.push(named("1", news), b)
	}
	b.budget.max = 1
	q.push(named("2", news), b)
	q.batchWritten(b.budget)
	require.True(t, q.isEmpty())
	q.recycle(b.budget)
	require.Zero(t, b.budget.used.Load())
}

func TestBudgetCountsLongQueues(t *testing.T) {
	b, q, small := limited(1<<20), outboundQueue{}, text(2)
	for range 3 * entriesPerCharge {
		require.True(t, q.fits(small, b))
	}
	require.EqualValues(t, 2+3*entriesPerCharge*entryBytes, b.budget.used.Load())
	q.nextBatch(b.budget)
	q.batchWritten(b.budget)
	require.Zero(t, b.budget.used.Load())
}

// However few bytes the socket accepts at a time, all are written in order.
func TestBatchIsWrittenInAnyPieces(t *testing.T) {
	var want []byte
	for _, scratch := range []int{1, 7, 64} {
		for step := 1; step < 9; step++ {
			q, b := outboundQueue{}, limited(1<<20)
			want = want[:0]
			for n := 2; n < 40; n += 3 {
				f := encodeFrame(byte(Binary), []byte{byte(n), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}[:n%11])
				want = append(want, f.encoded...)
				q.add(f, b.budget)
			}
			var got []byte
			for out := q.nextBatch(b.budget); !out.isWritten(); {
				piece := out.chunk(make([]byte, 0, scratch))
				piece = piece[:min(step, len(piece))]
				got = append(got, piece...)
				out.advance(len(piece))
			}
			require.Equal(t, want, got)
		}
	}
}

func TestCloseFrameCutsLongReasons(t *testing.T) {
	require.Equal(t, []byte{0x88, 0}, closeFrame(Close{Code: CodeNoStatus}).encoded)
	require.Equal(t, []byte{0x88, 4, 0x03, 0xE8, 'o', 'k'}, closeFrame(Close{1000, "ok"}).encoded)
	long := ""
	for range 60 {
		long += "äö"
	}
	f := closeFrame(Close{1000, long})
	require.LessOrEqual(t, f.Len(), 2+125, "control frames hold 125 bytes")
	require.True(t, utf8.Valid(f.encoded[4:]), "the reason is cut between characters")
}

func TestFrameLenIncludesTheHeader(t *testing.T) {
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

// replyFrame returns a reply of n bytes.
func replyFrame(n int) Frame {
	f := text(n)
	f.reply = true
	return f
}

// Replies do not use the room of other messages, and have a limit of their own.
func TestQueueLimitsRepliesApart(t *testing.T) {
	q, b := outboundQueue{}, limited(10)
	require.True(t, q.fits(replyFrame(10), b))
	require.True(t, q.fits(text(5), b))
	require.True(t, q.fits(text(5), b))
	require.False(t, q.fits(text(5), b), "the limit is the same without replies")
	require.True(t, q.fits(replyFrame(10), b), "replies that follow a WaitWritable may exceed the limit once")
	require.False(t, q.fits(replyFrame(2), b))
	require.Equal(t, 30, q.bytes)
	require.Equal(t, 20, q.replyBytes)

	q.nextBatch(b.budget)
	require.False(t, q.fits(replyFrame(2), b), "the batch is not written yet")
	q.batchWritten(b.budget)
	require.Zero(t, q.bytes)
	require.Zero(t, q.replyBytes)
	require.True(t, q.fits(replyFrame(10), b))
	q.discardWaiting(b.budget)
	require.Zero(t, q.replyBytes)
	require.Zero(t, b.budget.used.Load())
}

func TestQueueIsWritableBelowHalf(t *testing.T) {
	q, b := outboundQueue{writable: make(chan struct{})}, limited(10)
	require.True(t, q.isWritable(10))
	require.True(t, q.fits(text(5), b))
	require.True(t, q.isWritable(10))
	require.True(t, q.fits(replyFrame(2), b))
	require.False(t, q.isWritable(10))
	waits := q.writable
	q.abandon(b.budget)
	require.NotNil(t, waits)
	_, open := <-waits
	require.False(t, open, "waiting goroutines are woken")
	require.Nil(t, q.writable)
}
