package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Rebalance is what is observed of a fleet whose clients may be spread unevenly.
type Rebalance struct {
	// Spec has its defaults set, and the fleet's desired size.
	Spec v1alpha1.WebSocketClusterSpec
	// Deployment is the gateways' Deployment, or nil when there is none.
	Deployment *appsv1.Deployment
	Gateways   []Gateway
	// Requested is how many seconds ago a user asked for a rebalance, or 0.
	Requested float64
}

// requestLastsSeconds is how long a rebalance that a user asked for may take.
const requestLastsSeconds = 60 * 60

// RebalanceRequested returns how many seconds before now a user asked for a rebalance, by the value of
// v1alpha1.AnnotationRebalance, or 0 for a value that is no time, and for a time that is far in the future: clocks may
// differ by a minute.
func RebalanceRequested(value string, now metav1.Time) float64 {
	var at metav1.Time
	if at.UnmarshalQueryParameter(value) != nil || at.IsZero() {
		return 0
	}
	seconds := now.Sub(at.Time).Seconds()
	if seconds < -60 {
		return 0
	}
	return max(1, seconds)
}

// wanted reports whether clients are to be moved at all.
func (r Rebalance) wanted() bool { return r.Spec.Rebalance.Enabled || r.requested() }

// requested reports whether a user asked for a rebalance a short time ago.
func (r Rebalance) requested() bool { return r.Requested > 0 && r.Requested < requestLastsSeconds }

// RebalanceStep is the next step of a rebalance. It is empty for a fleet that needs nothing.
type RebalanceStep struct {
	// Shed are gateways that send a part of their clients away from now on.
	Shed []Shed
	// Restore are gateways that are to keep the rest of their clients, because something comes first.
	Restore []Gateway
	// Shedding is the number of gateways that send clients away already and go on.
	Shedding int
	// Waits says why gateways that have more than their share send nothing away now. It is empty when none has to wait.
	Waits string
}

// Shed asks a gateway to send clients away until Keep are left, or drain.timeout is over.
type Shed struct {
	Gateway   Gateway
	Keep      int
	PerSecond float64
}

// DrainReasonRebalance is the reason of a partial drain in the gateway's report and log.
const DrainReasonRebalance = "rebalance"

// chance is by how many times the square root of the average a gateway may have more connections than the average.
// Where clients choose their gateways independently, chance alone makes larger differences in one of 30 fleets of a
// thousand gateways.
const chance = 4

// NextRebalanceStep returns the next step towards a fleet in which no gateway has many more clients than the average.
//
// A rebalance always ends, and does not move the same clients to and fro: a gateway sheds what it has above the
// average once for each gateway that is newer than it is, and for each request of a user. When its clients come back
// to it, it keeps them. The step follows from what is observed alone, so that an operator that has just started takes
// the same one.
func NextRebalanceStep(r Rebalance) RebalanceStep {
	shedding := slices.DeleteFunc(slices.Clone(r.Gateways), func(g Gateway) bool { return !g.rebalances() })
	busy := r.busy()
	if len(shedding) > 0 {
		if busy != "" || !r.wanted() {
			return RebalanceStep{Restore: shedding, Waits: busy}
		}
		return RebalanceStep{Shedding: len(shedding)}
	}
	if !r.wanted() {
		return RebalanceStep{}
	}
	average := float64(connectionsOf(r.Gateways)) / float64(max(1, len(r.Gateways)))
	full := r.overfull(average)
	switch {
	case len(full) == 0:
		return RebalanceStep{}
	case busy != "":
		return RebalanceStep{Waits: busy}
	}
	for together := min(len(full), r.together()); together > 0; together-- {
		sheds := r.shed(full, together, average)
		if !slices.ContainsFunc(sheds, func(s Shed) bool { return s.PerSecond*r.closingSeconds() < 1 }) {
			return RebalanceStep{Shed: sheds}
		}
	}
	return RebalanceStep{Waits: "at spec.rebalance.maxShedPerMinute not one client could be moved in the time that " +
		"spec.drain.timeout leaves after spec.drain.propagationDelay: raise one of them"}
}

// closingSeconds returns how many seconds of a drain are left to close connections.
func (r Rebalance) closingSeconds() float64 {
	return (r.Spec.Drain.Timeout.Duration - r.Spec.Drain.PropagationDelay.Duration).Seconds()
}

// busy returns what comes before a rebalance, or "". A rebalance takes gateways away from new clients for a while, so
// that all others have to serve.
func (r Rebalance) busy() string {
	size := *r.Spec.Replicas
	switch {
	case r.Deployment == nil || r.Deployment.Spec.Replicas == nil || !observed(r.Deployment):
		return "the gateways' Deployment is being changed"
	case r.Deployment.Status.UpdatedReplicas < r.Deployment.Status.Replicas:
		return "gateways of a new version replace the old ones"
	}
	for _, g := range r.Gateways {
		switch {
		case g.terminating() || g.leaving() || g.sheds() && !g.rebalances():
			return "gateway " + g.Pod.Name + " drains"
		case g.Report.Broker.State == contract.BrokerDegraded:
			// Clients that are moved could not subscribe.
			return "gateway " + g.Pod.Name + " has lost Redis"
		case g.sheds():
		case !g.ready() || !g.Reported || g.Stale:
			return "gateway " + g.Pod.Name + " does not serve"
		}
	}
	if *r.Deployment.Spec.Replicas != size || r.Deployment.Status.Replicas != size || len(r.Gateways) != int(size) {
		return "the fleet's size is being changed"
	}
	return ""
}

// rebalances reports whether the gateway sends a part of its clients away because the operator asked it to. A drain
// that a user has started is left alone.
func (g Gateway) rebalances() bool { return g.sheds() && g.Report.Drain.Reason == DrainReasonRebalance }

// settled reports whether all gateways have been ready for long enough, so that what they have is what they got.
func (r Rebalance) settled() bool {
	return r.Deployment != nil && r.Deployment.Status.AvailableReplicas >= *r.Spec.Replicas
}

// overfull returns the gateways that have more than their share of an average and are to shed the rest, the fullest one
// first. It returns none while gateways have been ready for too short a time.
func (r Rebalance) overfull(average float64) []Gateway {
	if !r.settled() {
		return nil
	}
	tolerance := max(average*float64(*r.Spec.Rebalance.TolerancePercent)/100, chance*math.Sqrt(average))
	newest := math.Inf(1)
	if r.requested() {
		newest = r.Requested
	}
	for _, g := range r.Gateways {
		if g.Report.UptimeSeconds > 0 && g.restarts() <= maxRestarts {
			newest = min(newest, g.Report.UptimeSeconds)
		}
	}
	var full []Gateway
	for _, g := range r.Gateways {
		if float64(g.connections()) > average+tolerance && g.mayShed(newest) {
			full = append(full, g)
		}
	}
	slices.SortFunc(full, func(a, b Gateway) int {
		return cmp.Or(cmp.Compare(b.connections(), a.connections()), cmp.Compare(a.Pod.Name, b.Pod.Name))
	})
	return full
}

// mayShed reports whether the gateway may shed clients when the newest gateway of the fleet has run for so many
// seconds: it is older, and has not shed all that it was to since that one began. A gateway of an older version, which
// knows no partial drain, reports no uptime.
func (g Gateway) mayShed(newest float64) bool {
	if g.Report.UptimeSeconds <= newest {
		return false
	}
	last := g.Report.PartialDrain
	return last == nil || !last.Reached || last.SecondsAgo > newest
}

// maxRestarts is how often the process of a gateway may have been started again for others to send clients to it. One
// that crashes again and again would lose them each time.
const maxRestarts = 3

// restarts returns how often the process of the gateway has been started again.
func (g Gateway) restarts() int32 {
	most := int32(0)
	for _, container := range g.Pod.Status.ContainerStatuses {
		most = max(most, container.RestartCount)
	}
	return most
}

// together returns how many gateways shed at once. One more stays, and takes their clients.
func (r Rebalance) together() int {
	return max(1, min(render.MaxDraining(r.Spec), len(r.Gateways)-1))
}

// shed returns what the first of the gateways that have too many clients shed, so that all end at the same time. What
// is left after drain.timeout is shed in the next round: evictions of others wait no longer than for any drain.
func (r Rebalance) shed(full []Gateway, together int, average float64) []Shed {
	first := full[:together]
	sheds, sum := r.targets(full, len(first), average), 0.0
	for _, n := range sheds {
		sum += n
	}
	rate := r.perSecond(first)
	all := make([]Shed, 0, len(first))
	for i, g := range first {
		keep := int(math.Ceil(float64(g.connections()) - sheds[i]))
		all = append(all, Shed{Gateway: g, Keep: max(1, keep), PerSecond: rate * sheds[i] / sum})
	}
	return all
}

// targets returns how many clients the first gateways are to shed in all so that they have the average when the others
// of full have shed too. Clients that a gateway sheds come back to those that are ready, so that a gateway that has
// shed gets some of the clients of those that come after it. With e the excess of a gateway, E the sum of all, h the
// number of full gateways of n, of which k shed at once, it sheds s = e + a (S - s), where a = (h-k) / (h-1) / (n-k)
// is the part of what another one sheds that it gets, and so S = E / (1 + a - ah).
func (r Rebalance) targets(full []Gateway, first int, average float64) []float64 {
	excess := 0.0
	for _, g := range full {
		excess += float64(g.connections()) - average
	}
	n, h, k := float64(len(r.Gateways)), float64(len(full)), float64(first)
	a := 0.0
	if h > k {
		a = (h - k) / (h - 1) / (n - k)
	}
	sum := excess / (1 + a - a*h)
	sheds := make([]float64, first)
	for i, g := range full[:first] {
		sheds[i] = (float64(g.connections()) - average + a*sum) / (1 + a)
	}
	return sheds
}

// perSecond returns how many clients are moved per second while some gateways shed.
func (r Rebalance) perSecond(shedding []Gateway) float64 {
	perMinute, err := intstr.GetScaledValueFromIntOrPercent(
		r.Spec.Rebalance.MaxShedPerMinute, connectionsOf(r.Gateways), true)
	if err != nil {
		// The schema refuses what cannot be read.
		perMinute = 1
	}
	rate := float64(max(1, perMinute)) / 60
	if budget := budgetOf(r.Spec, without(r.Gateways, shedding)); budget > 0 {
		rate = min(rate, budget)
	}
	return rate
}

// String describes what a gateway sheds.
func (s Shed) String() string {
	rate := fmt.Sprintf("%.2g", s.PerSecond)
	if s.PerSecond >= 10 {
		rate = fmt.Sprintf("%.0f", s.PerSecond)
	}
	return fmt.Sprintf("gateway %s sends %d of its %d clients to the others, %s per second", s.Gateway.Pod.Name,
		s.Gateway.connections()-s.Keep, s.Gateway.connections(), rate)
}
