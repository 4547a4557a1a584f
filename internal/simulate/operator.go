package simulate

import (
	"cmp"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
)

const (
	// scrapeInterval is the time between two scrapes of the gateways' reports.
	scrapeInterval = fleet.DefaultInterval
	// reportTTL is how long the last report of a gateway that does not answer is kept.
	reportTTL = time.Minute
	// recheck is the time until the next step while gateways drain or a rollout is held.
	recheck = 2 * time.Second
	// reconcileDelay is the minimum time between two reconciles that changes of the fleet's objects cause.
	reconcileDelay = 500 * time.Millisecond
)

// operator is the operator's loop. It observes what the real one does, asks package plan, and carries out the answer as
// package controllers does.
type operator struct {
	reports fleet.Snapshot
	// scrapeAt is when the gateways are scraped next, recheckAt when the next step is due, or 0. changed reports that
	// objects of the fleet have changed since the last reconcile, which was at lastAt.
	scrapeAt, recheckAt, lastAt slot
	changed                     bool
	// pods and gateways are used again in each reconcile.
	pods []corev1.Pod
	// heldSince is when the hold of the rollout began, and held how long all holds before took.
	heldSince, held slot
	holds           bool
	// waits says why the operator waits, or is empty.
	waits string
}

func newOperator() operator {
	return operator{reports: fleet.Snapshot{Gateways: map[types.UID]fleet.Gateway{}}}
}

func (o *operator) forget(pod types.UID) { delete(o.reports.Gateways, pod) }

// operate lets the operator do what is due.
func (f *simulation) operate() {
	o := &f.operator
	if f.now >= o.scrapeAt {
		f.scrape()
		o.scrapeAt = f.now + slots(scrapeInterval)
		o.changed = true
	}
	if due := o.changed && f.now >= o.lastAt+slots(reconcileDelay); due || o.recheckAt > 0 && f.now >= o.recheckAt {
		o.changed, o.lastAt, o.recheckAt = false, f.now, 0
		if f.reconcile() {
			o.recheckAt = f.now + slots(recheck)
		}
	}
}

// scrape reads the report of each gateway. Of one that does not answer, the last report is kept for some time.
func (f *simulation) scrape() {
	reports := f.operator.reports.Gateways
	f.operator.reports.Asked = make(map[types.UID]bool, len(f.gateways))
	for _, g := range f.gateways {
		if g.ready() && !g.removed {
			f.operator.reports.Asked[g.pod.UID] = true
		}
		if g.answers() {
			f.noteReport(g)
			continue
		}
		last, known := reports[g.pod.UID]
		switch {
		case !known:
		case f.now.time().Sub(last.ReportedAt) >= reportTTL:
			delete(reports, g.pod.UID)
		default:
			last.Stale = true
			reports[g.pod.UID] = last
		}
	}
}

func (f *simulation) noteReport(g *gateway) {
	now := f.now.time()
	f.operator.reports.Gateways[g.pod.UID] = fleet.Gateway{
		Pod:        g.pod.Name,
		Report:     g.report(f.now, int(*f.spec.Gateway.MaxConnections)),
		ReportedAt: now,
	}
}

// reconcile plans the next step and carries it out. It reports whether the operator looks again soon.
func (f *simulation) reconcile() (again bool) {
	o, d := &f.operator, &f.deployment
	now := metav1.NewTime(f.now.time())
	gateways := f.observed()
	step := plan.NextScaleInStep(plan.ScaleIn{Spec: f.spec, Deployment: d.live, Gateways: gateways, Now: now})
	rollout := plan.Rollout{Spec: f.spec, Deployment: d.live, Gateways: gateways}
	hold := plan.HoldRollout(rollout)
	rebalance := f.nextRebalance(gateways)
	again = f.changeBalance(rebalance) || hold.Why != "" ||
		plan.HoldEvictions(f.spec, gateways) != "" || plan.RefusalsMatter(rollout)
	wrote := f.writeDeployment(step.Replicas, hold)
	for _, pace := range plan.Paces(f.spec, gateways) {
		if g := f.byUID[pace.Gateway.Pod.UID]; g != nil && g.answers() && g.drain != nil {
			f.setPace(g, float64(pace.PerSecond))
			f.noteReport(g)
		}
	}
	o.waits = cmp.Or(hold.Why, step.Waits, rebalance.Waits)
	f.countHold(hold.Why != "")
	switch {
	case len(step.Drain)+len(step.Retire)+len(step.Restore)+step.Draining == 0 && step.Waits == "" && !again:
		return false
	case !wrote:
		f.changePods(step, now)
	}
	return true
}

// observed returns the gateways as the operator sees them.
func (f *simulation) observed() []plan.Gateway {
	o := &f.operator
	f.dropRemoved()
	o.pods = o.pods[:0]
	for _, g := range f.gateways {
		o.pods = append(o.pods, g.pod)
	}
	return plan.Gateways(o.pods, o.reports, metav1.NewTime(f.now.time()))
}

// countHold counts for how long the rollout is held.
func (f *simulation) countHold(holds bool) {
	o := &f.operator
	if o.holds && !holds {
		o.held += f.now - o.heldSince
	}
	if holds && !o.holds {
		o.heldSince = f.now
	}
	o.holds = holds
}

// writeDeployment writes what differs, and reports whether anything did.
func (f *simulation) writeDeployment(replicas int32, hold plan.Hold) bool {
	d := &f.deployment
	paused := hold.Why != ""
	if *d.live.Spec.Replicas == replicas && d.live.Spec.Paused == paused && d.holdLast == hold.Last &&
		d.live.Spec.Strategy.RollingUpdate == f.strategy.RollingUpdate {
		return false
	}
	d.holdLast = hold.Last
	d.write(func(spec *appsv1.DeploymentSpec) {
		spec.Replicas, spec.Paused, spec.Strategy = new(replicas), paused, f.strategy
	})
	f.changed()
	return true
}

// changePods carries out the part of a step that concerns pods.
func (f *simulation) changePods(step plan.ScaleInStep, now metav1.Time) {
	for _, d := range step.Drain {
		if g := f.byUID[d.Gateway.Pod.UID]; g != nil {
			f.annotate(g, render.AnnotationScaleIn, d.Deadline.UTC().Format(time.RFC3339))
			f.drainForScaleIn(g, d.Deadline.Sub(now.Time))
		}
	}
	for _, retired := range step.Retire {
		if g := f.byUID[retired.Pod.UID]; g != nil {
			f.annotate(g, corev1.PodDeletionCost, render.DeletionCostRetired)
		}
	}
	for _, restored := range step.Restore {
		g := f.byUID[restored.Pod.UID]
		if g == nil || (restored.Reported || g.ready()) && !g.answers() {
			continue
		}
		if g.answers() {
			f.undrain(g)
			f.noteReport(g)
		}
		g.pod.Annotations = nil
		f.changed()
	}
}

// serveAgainAfter is how long after its deadline a gateway serves again that was to be deleted and was not.
const serveAgainAfter = 30 * time.Second

// drainForScaleIn asks a gateway to drain for at most left. One that drains already keeps its deadline.
func (f *simulation) drainForScaleIn(g *gateway, left time.Duration) {
	if !g.answers() {
		return
	}
	timeout := max(time.Second, left.Round(time.Second))
	if g.drain == nil {
		f.beginDrain(g, "scale-in", timeout, min(f.spec.Drain.PropagationDelay.Duration, timeout/2), false)
		run := g.drain
		f.afterProcess(g, timeout+serveAgainAfter, func() {
			if g.drain == run {
				f.undrain(g)
			}
		})
	}
	f.noteReport(g)
}

// annotate writes an annotation of a pod. The map is copied, because the last observation may share it.
func (f *simulation) annotate(g *gateway, name, value string) {
	if g.pod.Annotations[name] == value {
		return
	}
	annotations := maps.Clone(g.pod.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[name] = value
	g.pod.Annotations = annotations
	f.changed()
}
