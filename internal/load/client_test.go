package load

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// recordingSocket records what a client writes.
type recordingSocket struct {
	bytes.Buffer
	closed bool
}

func (w *recordingSocket) write(b []byte) error {
	_, err := w.Write(b)
	return err
}

func (w *recordingSocket) close() { w.closed = true }

// newTestClient returns a subscribed client whose socket records, during a run.
func newTestClient(t testing.TB, protocol Protocol) (*client, *recordingSocket) {
	t.Helper()
	w := &Worker{}
	o := options(Fanout, "ws://127.0.0.1:1", func(o *Options) { o.Protocol, o.Clients = protocol, 1 })
	require.NoError(t, w.configure(Assignment{Options: o, Processes: 1}))
	w.shards = []*shard{newShard(w)}
	w.run = RunArgs{Run: 1, From: 0, To: 1 << 62, Subscribers: []int{2}}
	wire := &recordingSocket{}
	c := &client{
		id: 1, shard: w.shards[0], protocol: w.protocol, socket: wire, ready: make(chan error, 1), resume: &resumeState{},
	}
	c.state.Store(open)
	return c, wire
}

func frame(first byte, payload string) []byte {
	if len(payload) > 125 {
		return append([]byte{first, 126, byte(len(payload) >> 8), byte(len(payload))}, payload...)
	}
	return append([]byte{first, byte(len(payload))}, payload...)
}

// push returns the frame of a publication.
func push(number uint32) []byte {
	m := message{run: 1, number: number, time: 1}.appendTo(nil, 150)
	return frame(0x81, fmt.Sprintf(`{"push":{"channel":"load-0","pub":{"data":%s}}}`, m))
}

func TestClientFeedTakesFramesInPieces(t *testing.T) {
	one := push(2)
	payload := string(one[4:])
	all := slices.Concat(push(1), frame(0x89, "ping"), frame(0x01, payload[:70]), frame(0x8a, ""),
		frame(0x00, payload[70:100]), frame(0x89, "p2"), frame(0x80, payload[100:]), push(3), frame(0x81, `{}`), push(4))
	for _, size := range []int{1, 2, 3, 7, 100, 1000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c, wire := newTestClient(t, Centrifuge)
			for piece := range slices.Chunk(all, size) {
				require.NoError(t, c.feed(bytes.Clone(piece), 10))
			}
			require.Equal(t, int64(4), c.shard.counts.received)
			require.Empty(t, c.shard.gaps)
			require.Empty(t, c.partial)
			var answers []string
			for wire.Len() > 0 {
				h, err := ws.ReadHeader(wire)
				require.NoError(t, err)
				require.True(t, h.Masked, "RFC 6455 section 5.1: a client masks")
				answer := wire.Next(int(h.Length))
				ws.Cipher(answer, h.Mask, 0)
				answers = append(answers, fmt.Sprintf("%x %s", byte(h.OpCode), answer))
			}
			require.Equal(t, []string{"a ping", "a p2", "1 {}"}, answers)
		})
	}
}

func TestShardReadEndsConnection(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"masked":                    {[]byte{0x81, 0x80, 1, 2, 3, 4}, "RFC 6455"},
		"reserved bit":              {frame(0xc1, "x"), "RFC 6455"},
		"unknown opcode":            {frame(0x83, "x"), "RFC 6455"},
		"continuation of nothing":   {frame(0x80, "x"), "RFC 6455"},
		"message inside of another": {append(frame(0x01, "x"), frame(0x81, "y")...), "RFC 6455"},
		"ping in fragments":         {frame(0x09, "x"), "RFC 6455"},
		"far too large":             {[]byte{0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0}, errFrameTooLarge.Error()},
		"close":                     {frame(0x88, "\x03\xf0go away"), "closed by the server: 1008 go away"},
		"no JSON":                   {frame(0x81, "hello"), "no JSON"},
		"unsubscribed": {frame(0x81, `{"push":{"channel":"x","unsubscribe":{"code":2500,"reason":"gap"}}}`),
			"unsubscribed the client: 2500 gap"},
		"disconnect": {frame(0x81, `{"push":{"disconnect":{"code":3005,"reason":"expired"}}}`),
			"disconnected the client: 3005 expired"},
		"subscription refused": {frame(0x81, `{"id":2,"error":{"code":103,"message":"permission denied"}}`),
			"error 103: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			client, wire := newTestClient(t, Centrifuge)
			client.shard.read(client, c.bytes, 10)
			require.True(t, wire.closed)
			require.Len(t, client.shard.worker.disconnects, 1)
			for reason := range client.shard.worker.disconnects {
				require.Contains(t, reason, c.want)
			}
		})
	}
}

func TestClientReadyReportsRefusedSubscription(t *testing.T) {
	c, _ := newTestClient(t, Centrifuge)
	c.state.Store(connecting)
	c.shard.read(c, frame(0x81, `{"id":1,"connect":{}}`+"\n"+`{"id":2,"error":{"code":106,"message":"limit exceeded"}}`),
		10)
	require.EqualError(t, <-c.ready, "the server answered error 106: limit exceeded")
	require.Empty(t, c.shard.worker.disconnects)
}

// A server may answer publications of a client that has published nothing.
func TestPublishAnsweredIgnoresUnknownPublications(t *testing.T) {
	p, c := newTestPopulation(t)
	p.members = map[int]*member{}
	p.worker.publishAnswered(c, 7, nil)
	require.Zero(t, p.worker.failed.Load())
}

func TestShardDeliveredIgnoresForeignMessages(t *testing.T) {
	for name, m := range map[string]message{
		"another run":       {run: 2, number: 1, time: 1},
		"unknown publisher": {run: 1, publisher: 99, number: 1, time: 1},
		"subscriber only":   {run: 1, publisher: 1, number: 1, time: 1},
	} {
		c, _ := newTestClient(t, Plain)
		require.NoError(t, c.feed(frame(0x82, string(m.appendTo(nil, 100))), 10), name)
		require.Equal(t, counts{}, c.shard.counts, name)
	}
}

func FuzzFeed(f *testing.F) {
	f.Add(push(1), uint16(3))
	f.Add(slices.Concat(push(1), frame(0x89, "ping"), frame(0x81, "{}")), uint16(1))
	f.Add(frame(0x88, "\x03\xe8bye"), uint16(1))
	f.Add(
		frame(0x81,
			`{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":7,"recovered":true,"publications":[{"data":{}}]}}`),
		uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		at := min(int(cut), len(data))
		whole, _ := newTestClient(t, Centrifuge)
		parts, _ := newTestClient(t, Centrifuge)
		err := whole.feed(bytes.Clone(data), 10)
		errParts := parts.feed(bytes.Clone(data[:at]), 10)
		if errParts == nil {
			errParts = parts.feed(bytes.Clone(data[at:]), 10)
		}
		require.Equal(t, err == nil, errParts == nil, "%v, %v", err, errParts)
		require.Equal(t, whole.shard.counts, parts.shard.counts)

		returning, _ := newTestClient(t, Centrifuge)
		returning.state.Store(connecting)
		returning.resume = newResumeState(1)
		if err := returning.feed(bytes.Clone(data), 10); err == nil && returning.state.Load() == open {
			require.NotZero(t, returning.resume.positions[0])
		}
	})
}

func TestOpenLoopReportsUnsentWhenTooSlow(t *testing.T) {
	c, _ := newTestClient(t, Plain)
	w := c.shard.worker
	now := w.clock.now()
	w.options.Timeout = 1
	w.run = RunArgs{Run: 1, Start: now - 1e9, From: now - 1e9, To: now - 1e6, Rate: 1000, Subscribers: []int{1}}
	p := &publishers{worker: w, clients: []*client{c}}
	require.Equal(t, int64(999), p.openLoop())
	require.Zero(t, w.sent.Load())
}

func TestErrorText(t *testing.T) {
	for want, err := range map[string]error{
		"handshake refused: 429 Too Many Requests": fmt.Errorf("x: %w", ws.StatusError(429)),
		"something": errors.New("something"),
	} {
		require.Equal(t, want, errorText(err))
	}
}

// BenchmarkDelivery measures a delivery without its share of two system calls.
func BenchmarkDelivery(b *testing.B) {
	for _, protocol := range []Protocol{Plain, Centrifuge} {
		b.Run(string(protocol), func(b *testing.B) {
			c, _ := newTestClient(b, protocol)
			b.ReportAllocs()
			number := uint32(0)
			for b.Loop() {
				number++
				m := message{run: 1, number: number, time: 1}
				b.StopTimer()
				data := m.appendTo(nil, 100)
				if protocol == Centrifuge {
					data = fmt.Appendf(nil, `{"push":{"channel":"load-0","pub":{"data":%s}}}`, data)
				}
				data = frame(0x81, string(data))
				b.StartTimer()
				if err := c.feed(data, 10); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
