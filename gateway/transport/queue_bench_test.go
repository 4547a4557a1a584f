package transport

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"
)

// bottomless takes everything at once.
type bottomless struct{ conn *conn }

func (bottomless) start([]byte)  {}
func (bottomless) pause()        {}
func (bottomless) resume()       {}
func (bottomless) closeWrite()   {}
func (bottomless) shut()         {}
func (bottomless) schedule(bool) {}
func (bottomless) flush()        {}

func (w bottomless) drain() {
	for b := w.conn.take(); b != nil && w.conn.wrote(b); b = w.conn.take() {
	}
}

// deaf is an Observer of nothing.
type deaf struct{ Observer }

func (deaf) MessagesSent(string, int, int) {}

// BenchmarkQueue is what a delivery costs but for the socket: a frame queued on each of some
// connections, then written, so many times between two writes.
func BenchmarkQueue(b *testing.B) {
	for _, frames := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d between writes", frames), func(b *testing.B) {
			s := NewServer(Options{MaxConnections: 1, MaxQueuedBytes: 1 << 20, CloseTimeout: time.Second, Observer: deaf{}, Logger: slog.New(slog.DiscardHandler)})
			defer s.Close()
			conns := make([]*conn, 1000)
			for i := range conns {
				conns[i] = s.newConn(peerIP("127.0.0.1:1"), nil, &Endpoint{})
				conns[i].wire = bottomless{conns[i]}
			}
			f := NewFrame(Text, make([]byte, 100))
			b.ReportAllocs()
			for n := 0; n < b.N; n += frames * len(conns) {
				for range frames {
					for _, c := range conns {
						c.Send(f)
					}
				}
				for _, c := range conns {
					c.wire.(bottomless).drain()
				}
			}
		})
	}
}

// BenchmarkFrame is the encoding of one message.
func BenchmarkFrame(b *testing.B) {
	for _, size := range []int{16, 100, 1000, 100_000} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			message := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				runtime.KeepAlive(NewFrame(Text, message))
			}
		})
	}
}
