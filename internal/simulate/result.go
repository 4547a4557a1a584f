package simulate

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// Result is the result of a simulation. Times are in seconds.
type Result struct {
	Gateways    int             `json:"gateways"`
	Connections int64           `json:"connections"`
	Clients     []ClientsResult `json:"clients"`
	Events      []string        `json:"events"`
	Seed        uint64          `json:"seed"`

	// Settled reports that the fleet has its size and its version, and that all clients are back, before the limit.
	Settled bool `json:"settled"`
	// Waits says why the operator waits at the end of a simulation that has not settled, as far as it says.
	Waits string `json:"waits,omitempty"`
	// Seconds is the time from the first event until the fleet has settled, or until the limit.
	Seconds float64 `json:"seconds"`
	// BackSeconds is the time from the first event until the last client is back.
	BackSeconds float64 `json:"backSeconds"`
	// HeldSeconds is how long the operator held the rollout because enough gateways drained.
	HeldSeconds float64 `json:"heldSeconds"`

	Peak        Peak        `json:"peak"`
	Disconnects Disconnects `json:"disconnects"`
	Attempts    Attempts    `json:"attempts"`
	Away        Away        `json:"away"`
	Fleet       Fleet       `json:"fleet"`
	Samples     []Sample    `json:"samples"`

	// awayTimes is drawn as a plot. It counts slots.
	awayTimes *hdrhistogram.Histogram
}

// ClientsResult is a layer and the part of the clients that has it.
type ClientsResult struct {
	Layer string  `json:"layer"`
	Share float64 `json:"share"`
}

// Peak holds the highest numbers of any second.
type Peak struct {
	// ReconnectsPerSecond counts clients that gateways accepted, AttemptsPerSecond all that tried.
	ReconnectsPerSecond int64 `json:"reconnectsPerSecond"`
	AttemptsPerSecond   int64 `json:"attemptsPerSecond"`
	FailuresPerSecond   int64 `json:"failuresPerSecond"`
	// ClosesPerSecond counts connections that drains closed.
	ClosesPerSecond int64 `json:"closesPerSecond"`
	// MinBudgetPerSecond is the lowest reconnect budget of the run, or 0 for none.
	MinBudgetPerSecond float64 `json:"minBudgetPerSecond"`
	// ClosesToBudget is the highest ratio of the closes of a second to the budget at that time.
	ClosesToBudget float64 `json:"closesToBudget"`
}

// Disconnects counts connections that ended.
type Disconnects struct {
	Total int64 `json:"total"`
	// PerClient is Total divided by the number of connections at the start.
	PerClient float64 `json:"perClient"`
	// Closed counts those that drains closed. Forced are those of them that were left at a deadline.
	Closed int64 `json:"closed"`
	Forced int64 `json:"forced"`
	// Cut counts those whose gateway or node was lost.
	Cut int64 `json:"cut"`
}

// Attempts counts the attempts of clients to connect.
type Attempts struct {
	Total int64 `json:"total"`
	// Refused counts those that a gateway refused, Unanswered those to lost nodes, and Unreachable those while no gateway
	// was ready.
	Refused int64 `json:"refused"`
	// Full counts those of the refused that found a full gateway.
	Full        int64 `json:"full"`
	Unanswered  int64 `json:"unanswered"`
	Unreachable int64 `json:"unreachable"`
}

// Away says how long clients were away, for each time that one was.
type Away struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
	// Returned counts the returns, Gone the clients that did not want to come back or gave up, and Still those that are
	// away at the end.
	Returned int64 `json:"returned"`
	Gone     int64 `json:"gone"`
	Still    int64 `json:"still"`
}

// Fleet holds the extremes of the numbers of gateways.
type Fleet struct {
	MaxDraining int `json:"maxDraining"`
	// AllowedDraining is how many spec.disruption.maxUnavailable allows to drain at once, at the start.
	AllowedDraining int `json:"allowedDraining"`
	MinServing      int `json:"minServing"`
	MaxPods         int `json:"maxPods"`
	// FullestToAverage is the number of connections of the fullest gateway at the end divided by the average.
	FullestToAverage float64 `json:"fullestToAverage"`
}

// result returns the result of a run that is over.
func (f *simulation) result() *Result {
	m, s := f.measure, &f.scenario
	since := max(0, m.begun)
	f.countHold(false)
	r := &Result{
		Gateways:    int(*s.Spec.Replicas),
		Connections: s.Connections,
		Events:      []string{},
		Seed:        s.Seed,
		Settled:     f.settled(),
		Seconds:     (f.now - since).seconds(),
		BackSeconds: max(0, m.backAt-since).seconds(),
		HeldSeconds: f.operator.held.seconds(),
		Peak: Peak{
			ReconnectsPerSecond: m.reconnects.peak,
			AttemptsPerSecond:   m.attempts.peak,
			FailuresPerSecond:   m.failures.peak,
			ClosesPerSecond:     m.closes.peak,
			MinBudgetPerSecond:  m.minBudget,
			ClosesToBudget:      m.maxCloseRatio,
		},
		Disconnects: Disconnects{
			Total:  m.closes.total + m.cut,
			Closed: m.closes.total,
			Forced: m.forced,
			Cut:    m.cut,
		},
		Attempts: Attempts{
			Total:       m.attempts.total,
			Refused:     m.refused,
			Full:        m.full,
			Unanswered:  m.unanswered,
			Unreachable: m.unreachable,
		},
		Away: awayOf(m.away),
		Fleet: Fleet{
			MaxDraining:     m.maxDraining,
			AllowedDraining: render.MaxDraining(s.Spec),
			MinServing:      m.minServing,
			MaxPods:         m.maxPods,

			FullestToAverage: f.fullest(),
		},
		Samples:   m.samples,
		awayTimes: m.away,
	}
	if s.Connections > 0 {
		r.Disconnects.PerClient = float64(r.Disconnects.Total) / float64(s.Connections)
	}
	r.Away.Gone, r.Away.Still = f.clients.gone, f.clients.away
	if !r.Settled {
		r.Waits = f.operator.waits
	}
	weights := 0.0
	for _, share := range s.Clients {
		weights += share.Weight
	}
	for _, share := range s.Clients {
		r.Clients = append(r.Clients, ClientsResult{share.Layer.Name, share.Weight / weights})
	}
	for _, e := range s.Events {
		r.Events = append(r.Events, e.String())
	}
	return r
}

func awayOf(h *hdrhistogram.Histogram) Away {
	if h.TotalCount() == 0 {
		return Away{}
	}
	at := func(percent float64) float64 { return slot(h.ValueAtQuantile(percent)).seconds() }
	return Away{
		P50:      at(50),
		P90:      at(90),
		P99:      at(99),
		Max:      slot(h.Max()).seconds(),
		Mean:     h.Mean() / float64(slotsPerSecond),
		Returned: h.TotalCount(),
	}
}
