package load

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// shard is the clients that one goroutine reads.
type shard struct {
	worker *Worker

	mu     sync.Mutex
	in     inbox
	order  order
	counts counts
	// latency is of the deliveries since the last report.
	latency *hdrhistogram.Histogram
	// got are deliveries that a closed loop waits for, since the last look at the socket.
	got []gotten
}

// counts are of the deliveries that are measured: those published within the measured time.
type counts struct {
	received, duplicated, reordered int64
	// arrived is all that came within the measured time.
	arrived int64
}

// publication is one message of a run, the same for all who get it.
type publication struct{ Publisher, Number uint32 }

// gotten is how often a publication was delivered.
type gotten struct {
	Publication publication
	Deliveries  int
}

func newShard(w *Worker) *shard {
	return &shard{worker: w, order: order{}, latency: newHistogram()}
}

// delivered counts one message; the caller holds the lock.
func (s *shard) delivered(c *client, m message, now int64) {
	r, p, publisher := &s.worker.current, &s.worker.plan, int(m.publisher)
	if m.run != r.Run || publisher >= p.total || !p.publishes(publisher) || p.channel(publisher) != c.channel {
		// Somebody else's, or of a run that is over.
		return
	}
	how := s.order.check(stream{uint32(c.id), m.publisher}, c.past.lastFrom(p.slot(publisher), p.slots()), m.number)
	if r.Window > 0 && how != duplicate {
		s.count(publication{m.publisher, m.number})
	}
	if now >= r.From && now < r.To {
		s.counts.arrived++
	}
	if m.time < r.From || m.time >= r.To {
		return
	}
	if how == duplicate {
		s.counts.duplicated++
		return
	}
	if how == late {
		s.counts.reordered++
	}
	s.counts.received++
	record(s.latency, now-m.time)
}

// alike is how far back count looks for the same publication: as many as usually are in one read.
const alike = 32

func (s *shard) count(p publication) {
	for i := len(s.got) - 1; i >= max(0, len(s.got)-alike); i-- {
		if s.got[i].Publication == p {
			s.got[i].Deliveries++
			return
		}
	}
	s.got = append(s.got, gotten{p, 1})
}

// settle hands on what a closed loop waits for; the caller holds the lock.
func (s *shard) settle() {
	if len(s.got) == 0 {
		return
	}
	s.worker.window.delivered(s.got)
	s.got = s.got[:0]
}

// read handles what a client's socket had; the caller holds the lock.
func (s *shard) read(c *client, data []byte, now int64) {
	if c.state.Load() == closed {
		return
	}
	if err := c.feed(data, now); err != nil {
		s.end(c, err)
	}
}

// end is a connection's end that the server wanted, or the network; the caller holds the lock.
func (s *shard) end(c *client, reason error) {
	was := c.state.Swap(closed)
	if was == closed {
		return
	}
	c.wire.close()
	if was == connecting {
		c.ready <- reason
		return
	}
	s.worker.disconnected(reason)
}

// drop is a connection's end that this side wants. With goodbye, a close frame says so.
func (s *shard) drop(c *client, goodbye []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.state.Swap(closed) == closed {
		return
	}
	if goodbye != nil {
		// Who is gone already needs no goodbye.
		_ = c.wire.write(goodbye)
	}
	c.wire.close()
}

// restart begins a run: nothing is remembered of the one before.
func (s *shard) restart() {
	s.order, s.counts, s.got = order{}, counts{}, s.got[:0]
	s.latency.Reset()
}

// report returns the counts and takes the latencies.
func (s *shard) report(into *hdrhistogram.Histogram) counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	into.Merge(s.latency)
	s.latency.Reset()
	return s.counts
}
