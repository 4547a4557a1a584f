package transport

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// deflateWithStd compresses a message with the standard library.
func deflateWithStd(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := stdflate.NewWriter(&b, stdflate.BestCompression)
	require.NoError(t, err)
	_, err = io.WriteString(w, content)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return strings.TrimSuffix(b.String(), syncTail)
}

// noise returns n bytes that cannot be compressed.
func noise(n int) string {
	source, b := rand.NewChaCha8([32]byte{}), make([]byte, n)
	_, _ = source.Read(b)
	return string(b)
}

func TestInflate(t *testing.T) {
	const limit = 1 << 16
	zeros := strings.Repeat("\x00", limit)
	cases := []struct {
		name string
		kind Kind
		data string
		want string
		code int
	}{
		// The examples of RFC 7692, section 7.2.3.
		{"7.2.3.1 one block", Text, "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", 0},
		{"7.2.3.3 not compressed", Text, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello", 0},
		{"7.2.3.4 final block", Text, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", 0},
		{"7.2.3.5 two blocks", Text, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", 0},
		{"7.2.3.6 empty", Text, "\x00", "", 0},
		{"empty, as a fixed block", Text, "\x02\x00", "", 0},
		{"content that refers to what came before a final block", Text, "\xf3\x48\xcd\xc9\xc9\x07\x00" + "\x02\x13\x00\x00",
			"HelloHello", 0},
		{"no end of final blocks", Binary, strings.Repeat("\x03\x00", 100), "", CodeInvalidData},
		{"at the limit", Binary, deflateWithStd(t, zeros), zeros, 0},
		{"one byte above it", Binary, deflateWithStd(t, zeros+"\x00"), "", CodeTooBig},
		{"bomb", Binary, deflateWithStd(t, strings.Repeat(zeros, 1000)), "", CodeTooBig},
		{"bomb that is cut, too", Binary, deflateWithStd(t, strings.Repeat(zeros, 1000))[:1000], "", CodeTooBig},
		{"incompressible at the limit", Binary, deflateWithStd(t, noise(limit)), noise(limit), 0},
		{"cut", Text, deflateWithStd(t, strings.Repeat("Hello ", 10))[:5], "", CodeInvalidData},
		{"nothing", Text, "", "", CodeInvalidData},
		{"garbage", Text, noise(100), "", CodeInvalidData},
		{"not text", Text, deflateWithStd(t, "\xed\xa0\x80"), "", CodeInvalidData},
		{"not text, but binary", Binary, deflateWithStd(t, "\xed\xa0\x80"), "\xed\xa0\x80", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.LessOrEqual(t, len(c.data), maxCompressedBytes(limit))
			for range 2 {
				got, violation := inflate(c.kind, []byte(c.data), limit)
				if c.code != 0 {
					require.NotNil(t, violation)
					require.Equal(t, c.code, violation.Code)
					continue
				}
				require.Nil(t, violation)
				require.NotNil(t, got)
				require.Equal(t, c.want, string(got))
			}
		})
	}
}

// A refused message needs little more memory than the limit.
func TestInflateStopsAtTheLimit(t *testing.T) {
	data := []byte(deflateWithStd(t, strings.Repeat("\x00", 64<<20)))
	result := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			_, violation := inflate(Binary, bytes.Clone(data[:1000]), 10_000)
			require.Equal(b, CodeTooBig, violation.Code)
		}
	})
	require.Less(t, result.AllocedBytesPerOp(), int64(200_000))
}

func TestFrameCompressedShortensWhatItCan(t *testing.T) {
	text := strings.Repeat(`{"price":17.25},`, 1000)
	for name, c := range map[string]struct {
		frame   Frame
		shrinks bool
	}{
		"text":           {NewFrame(Text, []byte(text)), true},
		"binary":         {NewFrame(Binary, []byte(text[:minCompressLen-4])), true},
		"large":          {NewFrame(Text, []byte(strings.Repeat(text, 20))), true},
		"short":          {NewFrame(Text, []byte(text[:minCompressLen-5])), false},
		"incompressible": {NewFrame(Binary, []byte(noise(1000))), false},
		"empty":          {NewFrame(Text, nil), false},
		"ping":           {Ping(), false},
		"close":          {closeFrame(Close{1000, "bye"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			packed := c.frame.compressed()
			if !c.shrinks {
				require.Same(t, c.frame.payload, packed.payload)
				return
			}
			require.Less(t, packed.Len(), c.frame.Len())
			require.Equal(t, c.frame.encoded[0]|rsv1, packed.encoded[0])
			content, err := io.ReadAll(stdflate.NewReader(strings.NewReader(string(packed.Message()) + syncTail + finalBlock)))
			require.NoError(t, err)
			require.Equal(t, string(c.frame.Message()), string(content))
		})
	}
}

func TestFrameCompressedIsShared(t *testing.T) {
	group := &DropGroup{Policy: LatestOnly}
	for name, content := range map[string]string{"compressible": strings.Repeat("again and ", 100), "not": noise(1000)} {
		t.Run(name, func(t *testing.T) {
			f := NewFrame(Binary, []byte(content)).InDropGroup(group)
			once := f.compressed().payload
			require.Same(t, once, f.compressed().payload, "all receivers share the bytes")
			require.Zero(t, testing.AllocsPerRun(100, func() { _ = f.compressed() }))
			require.Same(t, group, f.compressed().group)
		})
	}
}

// FuzzInflate checks that content stays within the limit, and that compression is lossless.
func FuzzInflate(f *testing.F) {
	for _, seed := range []string{"\xf2\x48\xcd\xc9\xc9\x07\x00", "\x00", "", "\x03\x00\x03\x00",
		deflateWithStd(f, strings.Repeat("x", 2000))} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		content, violation := inflate(Binary, bytes.Clone(data), 1000)
		require.LessOrEqual(t, len(content), 1000)
		require.Equal(t, violation == nil, content != nil)
		packed := NewFrame(Binary, data).compressed()
		if packed.encoded[0]&rsv1 != 0 {
			got, violation := inflate(Binary, bytes.Clone(packed.Message()), len(data))
			require.Nil(t, violation)
			require.Equal(t, data, got)
		}
	})
}

// BenchmarkBroadcastOfACompressedFrame sends one frame to many receivers. Compression is needed once.
func BenchmarkBroadcastOfACompressedFrame(b *testing.B) {
	payload := []byte(strings.Repeat(`{"symbol":"ABC","price":17.25,"volume":1200}`, 12))
	for _, receivers := range []int{1, 100, 1000} {
		for name, compression := range map[string]bool{"plain": false, "compressed": true} {
			b.Run(fmt.Sprintf("%d receivers, %s", receivers, name), func(b *testing.B) {
				queues := make([]outboundQueue, receivers)
				held, bytes := budget{}, 0
				b.ReportAllocs()
				for b.Loop() {
					f := NewFrame(Text, payload)
					for i := range queues {
						sent := f
						if compression {
							sent = f.compressed()
						}
						queues[i].push(sent, queueLimits{bytes: 1 << 20, budget: &held})
						queues[i].nextBatch(&held)
						queues[i].batchWritten(&held)
						bytes += sent.Len()
					}
				}
				b.ReportMetric(float64(bytes)/float64(b.N)/float64(receivers), "B/frame")
			})
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	data, scratch := []byte(deflateWithStd(b, strings.Repeat(`{"symbol":"ABC","price":17.25}`, 20))), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		scratch = append(scratch[:0], data...)
		if _, violation := inflate(Text, scratch, 1<<16); violation != nil {
			b.Fatal(violation)
		}
	}
}
