package simulate

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Sample is the state of the fleet at one moment, and what happened since the sample before. Rates are the highest of
// that time, in any second.
type Sample struct {
	Seconds   float64 `json:"seconds"`
	Connected int64   `json:"connected"`
	// Away are the clients that are to come back, Gone those that are not.
	Away int64 `json:"away"`
	Gone int64 `json:"gone"`
	// Serving, Draining and Pods count gateways. Pods are those in the API server.
	Serving  int `json:"serving"`
	Draining int `json:"draining"`
	Pods     int `json:"pods"`
	// BudgetPerSecond is the reconnect budget, or 0 for none.
	BudgetPerSecond     float64 `json:"budgetPerSecond"`
	ClosesPerSecond     int64   `json:"closesPerSecond"`
	ReconnectsPerSecond int64   `json:"reconnectsPerSecond"`
	AttemptsPerSecond   int64   `json:"attemptsPerSecond"`
	FailuresPerSecond   int64   `json:"failuresPerSecond"`
}

// rate counts something in the second that ends with each slot.
type rate struct {
	slots [slotsPerSecond]int64
	// sum is the number of the last second, highest the highest such sum since the last sample, and peak since the start.
	sum, highest, peak, total int64
}

func (r *rate) add(now slot, n int64) {
	r.slots[now%slotsPerSecond] += n
	r.total += n
}

// endSlot counts the slot that is over.
func (r *rate) endSlot(now slot) {
	r.sum += r.slots[now%slotsPerSecond]
	r.highest, r.peak = max(r.highest, r.sum), max(r.peak, r.sum)
	oldest := (now + 1) % slotsPerSecond
	r.sum -= r.slots[oldest]
	r.slots[oldest] = 0
}

// takeHighest returns the highest sum since the last call.
func (r *rate) takeHighest() int64 {
	n := r.highest
	r.highest = 0
	return n
}

// measurement is what a run counts.
type measurement struct {
	now slot
	// begun is when the first event happened, or -1. backAt is when the last client came back.
	begun, backAt slot

	closes, reconnects, attempts, failures rate
	refused, unanswered, unreachable       int64
	full, forced, cut                      int64
	// away counts the times away in slots.
	away *hdrhistogram.Histogram

	samples []Sample
	// every is how many seconds one of the samples stands for.
	every, inLast int

	minServing, maxDraining, maxPods int
	minBudget, maxCloseRatio         float64
	// lastBudget is that of the sample before.
	lastBudget float64
}

// maxSamples is the number of samples from which on two are made one.
const maxSamples = 1200

// maxAway is the longest time away that is told from longer ones.
const maxAway = 30 * 24 * time.Hour

func newMeasurement() *measurement {
	return &measurement{
		begun: -1,
		away:  hdrhistogram.New(1, int64(slots(maxAway)), 3),
		every: 1,
	}
}

func (m *measurement) begin(now slot) {
	if m.begun < 0 {
		m.begun = now
	}
}

func (m *measurement) closed(n int64) { m.closes.add(m.now, n) }

func (m *measurement) attempted(all int64, total outcome) {
	m.attempts.add(m.now, all)
	m.reconnects.add(m.now, total.accepted)
	m.failures.add(m.now, all-total.accepted)
	m.refused += total.refused
	m.unanswered += total.unanswered
	m.unreachable += total.unreachable
}

// returned counts clients that are back after a time away.
func (m *measurement) returned(away slot, n int64) {
	if n > 0 {
		// The value is within the range, the only error there is.
		_ = m.away.RecordValues(min(max(int64(away), 1), int64(slots(maxAway))), n)
		m.backAt = m.now
	}
}

func (m *measurement) endSlot(now slot) {
	for _, r := range []*rate{&m.closes, &m.reconnects, &m.attempts, &m.failures} {
		r.endSlot(now)
	}
	m.now = now + 1
}

// sample completes a sample of the second that ends now and keeps it.
func (m *measurement) sample(now slot, s Sample, spec v1alpha1.WebSocketClusterSpec) Sample {
	s.Seconds = now.seconds()
	s.BudgetPerSecond = render.ReconnectBudget(spec, s.Serving)
	s.ClosesPerSecond, s.ReconnectsPerSecond = m.closes.takeHighest(), m.reconnects.takeHighest()
	s.AttemptsPerSecond, s.FailuresPerSecond = m.attempts.takeHighest(), m.failures.takeHighest()
	if len(m.samples) == 0 || s.Serving < m.minServing {
		m.minServing = s.Serving
	}
	if s.BudgetPerSecond > 0 && (m.minBudget == 0 || s.BudgetPerSecond < m.minBudget) {
		m.minBudget = s.BudgetPerSecond
	}
	// The busiest second may have begun before the budget became lower.
	if budget := max(s.BudgetPerSecond, m.lastBudget); budget > 0 && s.BudgetPerSecond > 0 {
		m.maxCloseRatio = max(m.maxCloseRatio, float64(s.ClosesPerSecond)/budget)
	}
	m.lastBudget = s.BudgetPerSecond
	m.maxDraining, m.maxPods = max(m.maxDraining, s.Draining), max(m.maxPods, s.Pods)
	m.keep(s)
	return s
}

// keep adds a sample to those of the result. Each stands for so long that there are not too many.
func (m *measurement) keep(s Sample) {
	if m.inLast > 0 && m.inLast < m.every {
		last := &m.samples[len(m.samples)-1]
		*last = mergeSamples(*last, s)
		m.inLast++
		return
	}
	if len(m.samples) == maxSamples {
		for i := range maxSamples / 2 {
			m.samples[i] = mergeSamples(m.samples[2*i], m.samples[2*i+1])
		}
		m.samples = m.samples[:maxSamples/2]
		m.every *= 2
	}
	m.samples = append(m.samples, s)
	m.inLast = 1
}

// mergeSamples returns what both samples have seen: the fewest connections, and the highest rates.
func mergeSamples(a, b Sample) Sample {
	b.Connected, b.Away = min(a.Connected, b.Connected), max(a.Away, b.Away)
	b.Serving, b.Draining, b.Pods = min(a.Serving, b.Serving), max(a.Draining, b.Draining), max(a.Pods, b.Pods)
	b.BudgetPerSecond = min(a.BudgetPerSecond, b.BudgetPerSecond)
	b.ClosesPerSecond = max(a.ClosesPerSecond, b.ClosesPerSecond)
	b.ReconnectsPerSecond = max(a.ReconnectsPerSecond, b.ReconnectsPerSecond)
	b.AttemptsPerSecond = max(a.AttemptsPerSecond, b.AttemptsPerSecond)
	b.FailuresPerSecond = max(a.FailuresPerSecond, b.FailuresPerSecond)
	return b
}
