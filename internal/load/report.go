package load

import "maps"

// Report holds the counters of one worker since its run began, or the sum over all workers.
type Report struct {
	Open int

	// Sent, Acknowledged and Failed count publications.
	Sent, Acknowledged, Failed int64
	// Expected is the number of deliveries that the publications should cause.
	Expected int64
	// Received, Duplicated and Reordered count deliveries of measured publications.
	Received, Duplicated, Reordered int64
	// Arrived counts all deliveries within the measured time.
	Arrived int64
	// ConnectionsLost, Returns and Refused count what happened to the clients of live since the worker began: connections
	// that ended, clients that came back, and attempts that failed. Away is the number of clients that are away now.
	ConnectionsLost, Returns, Refused, Away int64
	// Latency is an encoded histogram of the deliveries since the report before.
	Latency []byte
	// Disconnects counts connections that the server or the network ended, by reason, since the worker began.
	Disconnects map[string]int64
	// PublishErrors counts failed publications by reason, since the worker began.
	PublishErrors map[string]int64
	// CPUSeconds is the CPU time that the worker's process has used.
	CPUSeconds float64
}

// Report returns the counters and empties the latency histogram. It returns an error when the histogram cannot be
// encoded.
func (w *Worker) Report(_ None, r *Report) error {
	latency := newHistogram()
	for _, s := range w.shards {
		c := s.report(latency)
		r.Received += c.received
		r.Duplicated += c.duplicated
		r.Reordered += c.reordered
		r.Arrived += c.arrived
	}
	r.Sent, r.Acknowledged, r.Failed, r.Expected = w.sent.Load(), w.acknowledged.Load(), w.failed.Load(), w.expected.Load()
	r.CPUSeconds = ownCPUSeconds()
	if w.population != nil {
		w.population.report(r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		if c.state.Load() == open {
			r.Open++
		}
	}
	r.Disconnects, r.PublishErrors = maps.Clone(w.disconnects), maps.Clone(w.publishErrors)
	var err error
	r.Latency, err = encode(latency)
	return err
}
