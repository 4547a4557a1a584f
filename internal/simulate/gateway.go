package simulate

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// gateway is a pod and the gateway's process in it.
type gateway struct {
	pod           corev1.Pod
	version       int
	zone, node    int
	nodeLost      bool
	availableFrom slot
	// removed reports that the pod is not in the API server any more.
	removed bool

	// state is empty while no process runs. processes counts those that the pod has had.
	state     contract.State
	processes int
	// listedAt is the index among the gateways to which load balancers send clients, or -1.
	listedAt int
	// open is the number of connections, byLayer those of each layer.
	open    int64
	byLayer []int64
	// tokens is how many connections the gateway accepts now by its rate, as of refilledAt.
	tokens     float64
	refilledAt slot
	// accepted and crowd count the handshakes of the last minute that were accepted, and those beyond connectRate.
	accepted, crowd minuteRate
	// drain is nil while the gateway serves.
	drain *drainRun
	// startedAt is when the process began.
	startedAt slot
	// partialAt is when its last partial drain ended, or 0. partialReached reports that it had closed all that it was to.
	partialAt      slot
	partialReached bool
}

// minuteRate counts events and returns how many there were per second in the last minute, as gateways report it.
type minuteRate struct {
	// counts has the events of each bucket, at its number modulo their number. last is the number of the latest bucket.
	counts [12]int64
	last   slot
}

// minuteBucket is the length of a bucket of a minuteRate.
const minuteBucket = 5 * slotsPerSecond

func (r *minuteRate) advance(now slot) {
	bucket, n := now/minuteBucket, slot(len(r.counts))
	for range min(bucket-r.last, n) {
		r.last++
		r.counts[r.last%n] = 0
	}
	r.last = bucket
}

func (r *minuteRate) add(now slot, n int64) {
	r.advance(now)
	r.counts[r.last%slot(len(r.counts))] += n
}

func (r *minuteRate) perSecond(now slot) float64 {
	r.advance(now)
	sum := int64(0)
	for _, count := range r.counts {
		sum += count
	}
	return float64(sum) / 60
}

// drainRun is one drain of a gateway.
type drainRun struct {
	reason string
	// pace begins at the deadline until the clients are handed over.
	pace      drain.Pace
	startedAt time.Time
	delay     time.Duration
	// next is the time of the next step.
	next           time.Time
	closed, forced int
	// keep is the number of connections that a partial drain leaves open, or 0.
	keep int
	// handedOver reports that readiness fails. final reports that the process ends after the drain.
	handedOver, final bool
}

// lastReserve is how long before its deadline a gateway that waits for another one hands its clients over all the same.
const lastReserve = 15 * time.Second

func (g *gateway) running() bool     { return g.state != "" }
func (g *gateway) terminating() bool { return g.pod.DeletionTimestamp != nil }
func (g *gateway) ready() bool       { return fleet.IsReady(&g.pod) }
func (g *gateway) answers() bool     { return g.running() && !g.nodeLost && !g.removed }

// serves reports whether the gateway takes clients and is to keep them.
func (g *gateway) serves() bool {
	return g.answers() && g.state == contract.StateServing && g.ready() && !g.terminating()
}

// report returns what the gateway answers to the operator.
func (g *gateway) report(now slot, maxConnections int) contract.GatewayReport {
	r := contract.GatewayReport{
		Node:           g.pod.Name,
		State:          g.state,
		Connections:    int(g.open),
		MaxConnections: maxConnections,
		ConnectRate:    new(g.accepted.perSecond(now)),
		RejectRate:     new(0.0),
		CrowdRate:      new(g.crowd.perSecond(now)),
		// A process that has just begun reports more than 0 too.
		UptimeSeconds: (now - g.startedAt + 1).seconds(),
	}
	if g.partialAt > 0 {
		r.PartialDrain = &contract.PartialDrainReport{SecondsAgo: (now - g.partialAt).seconds(), Reached: g.partialReached}
	}
	if d := g.drain; d != nil {
		r.Drain = &contract.DrainReport{
			Reason:          d.reason,
			StartedAt:       d.startedAt,
			Deadline:        d.pace.Deadline,
			Closed:          d.closed,
			Forced:          d.forced,
			Keep:            d.keep,
			ClosesPerSecond: d.pace.PerSecond(now.time(), int(g.left())),
			SecondsLeft:     d.pace.Left(now.time()).Seconds(),
			WaitsForAnother: g.state == contract.StateDraining && !d.handedOver,
		}
	}
	return r
}

// accept returns how many of n handshakes the gateway accepts now, and how many it refuses because it is full.
func (g *gateway) accept(now slot, n int64, perSecond, maxConnections int) (accepted, full int64) {
	if d := g.drain; d != nil && d.handedOver && !now.time().Before(d.pace.From) {
		return 0, 0
	}
	room := max(0, int64(maxConnections)-g.open)
	full = max(0, n-room)
	n -= full
	if perSecond > 0 {
		// As many as come in a second may come at once.
		g.tokens = min(float64(perSecond), g.tokens+(now-g.refilledAt).seconds()*float64(perSecond))
		g.refilledAt = now
		accepted = min(n, int64(g.tokens))
		g.tokens -= float64(accepted)
		g.crowd.add(now, n-accepted)
		n = accepted
	}
	g.accepted.add(now, n)
	return n, full
}

// take removes n connections of a gateway, chosen at random, and calls lose with the number of each layer.
func (g *gateway) take(r random, n int64, lose func(layer int, n int64)) {
	all := g.open
	g.open -= n
	for layer := range g.byLayer {
		of := n
		if layer < len(g.byLayer)-1 {
			of = r.hypergeometric(n, g.byLayer[layer], all)
		}
		all -= g.byLayer[layer]
		g.byLayer[layer] -= of
		if n -= of; of > 0 {
			lose(layer, of)
		}
	}
}

// left returns the number of connections that a drain has yet to close.
func (g *gateway) left() int64 { return max(0, g.open-int64(g.drain.keep)) }

// beginDrain begins a drain of a gateway that serves, or one of all connections in the place of a partial one.
func (f *simulation) beginDrain(g *gateway, reason string, timeout, delay time.Duration, final bool) {
	now := f.now.time()
	g.drain = &drainRun{
		reason:    reason,
		startedAt: now,
		delay:     delay,
		next:      now,
		final:     final,
		pace: drain.Pace{
			From:         now.Add(timeout),
			Deadline:     now.Add(timeout),
			MaxPerSecond: int(*f.spec.Drain.MaxClosesPerSecond),
		},
	}
	if g.state != contract.StateDraining {
		g.state = contract.StateDraining
		f.draining = append(f.draining, g)
	}
	f.handOver(g)
}

// handOver lets the readiness of a draining gateway fail when another gateway serves, or when it waits no longer for
// one. While Redis is away, a gateway does not know of others, and waits for its propagation delay.
func (f *simulation) handOver(g *gateway) {
	d, now := g.drain, f.now.time()
	delayed, latest := d.startedAt.Add(d.delay), d.pace.Deadline.Add(-lastReserve)
	if latest.Before(d.startedAt) {
		latest = d.startedAt
	}
	from := now.Add(d.delay)
	switch {
	case d.keep > 0 && (f.now < f.redisBackAt || !f.anotherServes(g)):
		return
	case f.now < f.redisBackAt:
		if now.Before(delayed) && now.Before(latest) {
			return
		}
		from = now
	case f.anotherServes(g):
		if bound := later(delayed, latest); bound.Before(from) {
			from = bound
		}
	case now.Before(latest):
		return
	default:
		from = later(now, delayed)
	}
	d.handedOver, d.pace.From, d.next = true, from, now
	if !g.terminating() {
		// A gateway that terminates is out of the endpoints already.
		f.afterProcess(g, unreadyDelay, func() {
			if g.drain == d {
				f.setReady(g, false)
			}
		})
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// anotherServes reports whether a gateway besides one serves.
func (f *simulation) anotherServes(than *gateway) bool {
	for _, g := range f.gateways {
		if g != than && g.serves() {
			return true
		}
	}
	return false
}

// drainAll lets all draining gateways close what is due in this slot.
func (f *simulation) drainAll() {
	left := f.draining[:0]
	for _, g := range f.draining {
		if g.state != contract.StateDraining || !g.answers() {
			continue
		}
		if f.drainOne(g); g.state == contract.StateDraining {
			left = append(left, g)
		}
	}
	clear(f.draining[len(left):])
	f.draining = left
}

// shortestStep keeps a pace without a wait between two steps from using up the slot.
const shortestStep = time.Millisecond

func (f *simulation) drainOne(g *gateway) {
	d, now := g.drain, f.now.time()
	if d.keep > 0 && (g.left() == 0 || !now.Before(d.pace.Deadline)) {
		f.endPartial(g)
		return
	}
	if !d.handedOver {
		if f.handOver(g); !d.handedOver {
			return
		}
	}
	for g.left() > 0 && !d.next.After(now) {
		step := d.pace.Next(d.next, int(g.left()))
		if step.Close > 0 {
			g.take(f.random, int64(step.Close), func(layer int, n int64) { f.clients.lose(layer, n, causeClosed) })
			if step.Forced {
				d.forced += step.Close
				f.measure.forced += int64(step.Close)
			} else {
				d.closed += step.Close
			}
			f.measure.closed(int64(step.Close))
		}
		d.next = d.next.Add(max(step.Wait, shortestStep))
	}
	if g.open == 0 && !now.Before(d.pace.From) {
		g.state = contract.StateDrained
		if d.final {
			f.exit(g)
		}
	}
}

// endPartial lets a gateway serve again that has sent a part of its clients away, or has reached its deadline.
func (f *simulation) endPartial(g *gateway) {
	g.partialAt, g.partialReached = f.now, g.left() == 0
	f.undrain(g)
}

// setPace tells a draining gateway how many connections to close per second.
func (f *simulation) setPace(g *gateway, perSecond float64) {
	if d := g.drain; d != nil && d.pace.Rate != perSecond {
		d.pace.Rate, d.next = perSecond, f.now.time()
	}
}

// undrain lets a gateway serve again.
func (f *simulation) undrain(g *gateway) {
	if g.drain == nil || g.drain.final || g.terminating() {
		return
	}
	g.drain, g.state = nil, contract.StateServing
	f.afterProcess(g, readyDelay, func() {
		if g.drain == nil {
			f.setReady(g, true)
		}
	})
}

// cut ends all connections of a gateway at once.
func (f *simulation) cut(g *gateway, why cause) {
	f.measure.cut += g.open
	g.take(f.random, g.open, func(layer int, n int64) { f.clients.lose(layer, n, why) })
}
