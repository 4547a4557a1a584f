package load

import "maps"

// Report is what a worker has counted since its run began.
type Report struct {
	Open int

	Sent, Acknowledged, Failed, Expected               int64
	Received, Duplicated, Reordered, Arrived, InFlight int64
	// Latency is of the deliveries since the last report.
	Latency []byte
	// Disconnects and PublishErrors are since the worker began.
	Disconnects, PublishErrors map[string]int64
	CPUSeconds                 float64
}

// Report says how things stand.
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
