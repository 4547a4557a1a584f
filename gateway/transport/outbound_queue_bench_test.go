package transport

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"
)

// discardDriver is a driver that writes everything at once to nowhere.
type discardDriver struct{ conn *conn }

func (discardDriver) start([]byte)   {}
func (discardDriver) pauseReading()  {}
func (discardDriver) resumeReading() {}
func (discardDriver) closeWrite()    {}
func (discardDriver) close()         {}
func (discardDriver) schedule(bool)  {}
func (discardDriver) flush()         {}

func (d discardDriver) drain() {
	for b := d.conn.nextBatch(); b != nil && d.conn.batchWritten(b); b = d.conn.nextBatch() {
	}
}

// discardObserver is an Observer that counts nothing.
type discardObserver struct{ Observer }

func (discardObserver) MessagesSent(string, int, int) {}

// BenchmarkQueue measures a delivery without the socket: frames are queued on each of many connections,
// then written.
func BenchmarkQueue(b *testing.B) {
	for _, frames := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d between writes", frames), func(b *testing.B) {
			s := NewServer(Options{
				MaxConnections: 1,
				MaxQueuedBytes: 1 << 20,
				CloseTimeout:   time.Second,
				Observer:       discardObserver{},
				Logger:         slog.New(slog.DiscardHandler),
			})
			defer s.Close()
			conns := make([]*conn, 1000)
			for i := range conns {
				conns[i] = s.newConn(peerIP("127.0.0.1:1"), nil, &Endpoint{})
				conns[i].driver = discardDriver{conns[i]}
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
					c.driver.(discardDriver).drain()
				}
			}
		})
	}
}

// BenchmarkFrame measures the encoding of one message.
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
