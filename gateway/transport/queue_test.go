package transport

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestQueueIsBoundedInBytes(t *testing.T) {
	q := queue{max: 10}
	five := encodeFrame(byte(Text), []byte("abc"))
	require.True(t, q.push(five))
	require.True(t, q.push(five))
	require.False(t, q.push(five), "eleven bytes and more do not fit")

	batch := q.take()
	require.Len(t, batch, 2)
	require.False(t, q.push(five), "what the writer holds is not written yet")
	q.written(10)
	require.True(t, q.push(five))
	require.Equal(t, 5, q.bytes)
}

func TestQueueIsBoundedInFrames(t *testing.T) {
	small := encodeFrame(byte(Text), nil)
	for limit, frames := range map[int]int{1 << 20: 16384, 10_000: 1024} {
		q := queue{max: limit}
		for range frames {
			require.True(t, q.push(small))
		}
		require.False(t, q.push(small), "small frames cost more than their bytes")
		q.force(small)
		q.written(size(q.take()))
		require.True(t, q.push(small))
	}
}

func TestQueueLetsOneLargeFrameThrough(t *testing.T) {
	q := queue{max: 10}
	large := encodeFrame(byte(Text), make([]byte, 100))
	require.True(t, q.push(large), "else nobody could ever get it")
	require.False(t, q.push(large))
}

func TestDroppedQueueKeepsWhatTheWriterHolds(t *testing.T) {
	q := queue{max: 100}
	f := encodeFrame(byte(Text), []byte("abc"))
	q.push(f)
	batch := q.take()
	q.push(f)
	q.drop()
	require.Equal(t, 5, q.bytes)
	q.written(size(batch))
	require.Zero(t, q.bytes)
	require.Empty(t, q.take())
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
