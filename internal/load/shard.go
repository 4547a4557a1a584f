package load

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// shard is the group of clients whose sockets one goroutine reads.
type shard struct {
	worker *Worker

	// mu guards the fields below and those fields of the shard's clients that are not synchronised.
	mu     sync.Mutex
	frames frameReader
	gaps   sequenceGaps
	counts counts
	// latency is the histogram of the deliveries since the last report.
	latency *hdrhistogram.Histogram
	// uncredited counts deliveries that the window has not been told of yet. It is used in a closed loop.
	uncredited []deliveryCount
}

// counts are the counters of deliveries whose publications were due within the measured time.
type counts struct {
	received, duplicated, reordered int64
	// arrived counts all deliveries that came within the measured time.
	arrived int64
}

// publication identifies one message of a run by its publisher and that publisher's number, from 1.
type publication struct{ Publisher, Number uint32 }

// deliveryCount is a number of deliveries of one publication.
type deliveryCount struct {
	Publication publication
	Deliveries  int
}

func newShard(w *Worker) *shard {
	return &shard{worker: w, gaps: sequenceGaps{}, latency: newHistogram()}
}

// delivered counts one message that a client received at now. Messages of another run or another publisher are
// ignored. The caller holds mu.
func (s *shard) delivered(c *client, m message, now int64) {
	r, p, publisher := &s.worker.run, &s.worker.plan, int(m.publisher)
	if m.run != r.Run || publisher >= p.total || !p.publishes(publisher) || !p.counts(c.id) {
		return
	}
	subscription, subscribed := p.subscription(c.id, p.channel(publisher))
	if !subscribed {
		return
	}
	slots := p.publisherSlots()
	last := c.resume.lastNumber(subscription*slots+p.publisherSlot(publisher), p.subscriptions*slots)
	c.resume.noticeGap(*last, m.number, c.state.Load() == connecting)
	how := s.gaps.check(sequenceKey{uint32(c.id), m.publisher}, last, m.number)
	c.received = true
	if s.worker.population != nil {
		s.worker.population.delivered(c.id, how)
	}
	if r.Window > 0 && how != duplicate {
		s.countForWindow(publication{m.publisher, m.number})
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

// mergeLookback is how many entries countForWindow looks back for the same publication: about one read's worth.
const mergeLookback = 32

// countForWindow notes a delivery for creditWindow. The caller holds mu.
func (s *shard) countForWindow(p publication) {
	for i := len(s.uncredited) - 1; i >= max(0, len(s.uncredited)-mergeLookback); i-- {
		if s.uncredited[i].Publication == p {
			s.uncredited[i].Deliveries++
			return
		}
	}
	s.uncredited = append(s.uncredited, deliveryCount{p, 1})
}

// creditWindow passes the deliveries of the last read to the window of the closed loop. The caller holds mu.
func (s *shard) creditWindow() {
	if len(s.uncredited) == 0 {
		return
	}
	s.worker.window.delivered(s.uncredited)
	s.uncredited = s.uncredited[:0]
}

// read handles bytes that a client's socket received. An error ends the connection. The caller holds mu.
func (s *shard) read(c *client, data []byte, now int64) {
	if c.state.Load() == closed {
		return
	}
	c.lastRead = now
	if err := c.feed(data, now); err != nil {
		s.connectionLost(c, err)
	}
}

// connectionLost closes a connection that the server or the network ended, and counts the reason. The caller holds mu.
func (s *shard) connectionLost(c *client, reason error) {
	counted := c.state.Load() == open
	if counted {
		// Before a report can say that no client is connected any more: it may be the last one of the run.
		s.worker.countDisconnect(reason)
	}
	was := c.state.Swap(closed)
	if was == closed {
		return
	}
	c.socket.close()
	switch {
	case was == connecting:
		c.ready <- reason
	case !counted:
		s.worker.countDisconnect(reason)
	}
	if was == open && s.worker.population != nil {
		s.worker.population.lost(c, reason)
	}
}

// drop closes a connection from this side, after sending closeFrame unless that is nil.
func (s *shard) drop(c *client, closeFrame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.state.Swap(closed) == closed {
		return
	}
	if closeFrame != nil {
		// An error means that the connection is gone already.
		_ = c.socket.write(closeFrame)
	}
	c.socket.close()
}

// reset clears the counters for a new run. The caller holds mu.
func (s *shard) reset() {
	s.gaps, s.counts, s.uncredited = sequenceGaps{}, counts{}, s.uncredited[:0]
	s.latency.Reset()
}

// report returns the counters and moves the latencies into a histogram.
func (s *shard) report(into *hdrhistogram.Histogram) counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	into.Merge(s.latency)
	s.latency.Reset()
	return s.counts
}
