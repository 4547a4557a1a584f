package simulate

import (
	"cmp"
	"context"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// simulation is the state of a run.
type simulation struct {
	scenario Scenario
	// spec is that of the scenario with the changes of the events so far.
	spec   v1alpha1.WebSocketClusterSpec
	random random
	now    slot
	timers timers

	clients *population
	// gateways are the pods in the API server, the oldest one first. Some of them may be removed already, removedPods of
	// them.
	gateways    []*gateway
	removedPods int
	byUID       map[types.UID]*gateway
	created     int
	listed      []*gateway
	draining    []*gateway

	deployment deployment
	operator   operator
	// strategy is that of the Deployment as the operator renders it.
	strategy        appsv1.DeploymentStrategy
	minReadySeconds int32
	graceSeconds    int64
	// syncNeeded reports that the Deployment's controller has something to look at.
	syncNeeded bool

	zoneLabels    []map[string]string
	zoneLost      []bool
	podsInZone    []int
	podsOnNode    map[int]int
	nodesWithRoom [][]int
	nodes         int
	redisBackAt   slot

	events  []Event
	measure *measurement
	// accepted and acceptedOf are used again in each slot: what each gateway accepts, and how many of each layer.
	accepted   []accepted
	acceptedOf []int64
}

// Progress is the state of a simulation at one moment.
type Progress struct {
	// Elapsed is the virtual time.
	Elapsed time.Duration
	Sample  Sample
	// Gateways is the number of pods, Updated that of the newest version.
	Gateways, Updated int
}

// Run simulates a scenario until the fleet has settled and all clients are back, or until the scenario's limit.
// progress is called once every simulated second and may be nil. Run returns the *Error of a scenario that cannot be
// used, and the error of ctx when that ends first.
func Run(ctx context.Context, scenario Scenario, progress func(Progress)) (*Result, error) {
	if err := scenario.Validate(); err != nil {
		return nil, err
	}
	f, err := newSimulation(scenario)
	if err != nil {
		return nil, err
	}
	for limit := slots(scenario.Limit); f.now <= limit; f.now++ {
		f.step()
		if f.now%slotsPerSecond == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err //nolint:wrapcheck // the caller's own
			}
			sample := f.sample()
			if progress != nil {
				progress(f.progress(sample))
			}
			if f.settled() {
				break
			}
		}
	}
	return f.result(), nil
}

func newSimulation(scenario Scenario) (*simulation, error) {
	rendered, err := renderedDeployment(scenario.Spec)
	if err != nil {
		return nil, err
	}
	r := newRandom(scenario.Seed)
	size := int(*scenario.Spec.Replicas)
	f := &simulation{
		scenario:        scenario,
		spec:            *scenario.Spec.DeepCopy(),
		random:          r,
		clients:         newPopulation(&scenario, r),
		byUID:           map[types.UID]*gateway{},
		deployment:      newDeployment(rendered, size),
		operator:        newOperator(),
		strategy:        rendered.Spec.Strategy,
		minReadySeconds: rendered.Spec.MinReadySeconds,
		graceSeconds:    *rendered.Spec.Template.Spec.TerminationGracePeriodSeconds,
		zoneLost:        make([]bool, scenario.Zones),
		podsInZone:      make([]int, scenario.Zones),
		podsOnNode:      map[int]int{},
		nodesWithRoom:   make([][]int, scenario.Zones),
		events:          slices.Clone(scenario.Events),
		measure:         newMeasurement(),
		acceptedOf:      make([]int64, len(scenario.Clients)),
	}
	slices.SortStableFunc(f.events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	for zone := range scenario.Zones {
		f.zoneLabels = append(f.zoneLabels, map[string]string{corev1.LabelTopologyZone: zoneName(zone)})
	}
	for range size {
		g := f.createPod(1)
		f.serve(g)
		g.pod.Status.Conditions = readyConditions
		f.list(g, true)
	}
	f.connectAll()
	f.scrape()
	return f, nil
}

func zoneName(zone int) string {
	return "zone-" + string(rune('a'+zone%26)) + string(rune('a'+zone/26))
}

// connectAll spreads the clients of each layer evenly over the gateways.
func (f *simulation) connectAll() {
	total := 0.0
	for _, share := range f.scenario.Clients {
		total += share.Weight
	}
	left, next := f.scenario.Connections, 0
	for layer, share := range f.scenario.Clients {
		n := min(left, int64(float64(f.scenario.Connections)*share.Weight/total+0.5))
		if layer == len(f.scenario.Clients)-1 {
			n = left
		}
		left -= n
		each, more := n/int64(len(f.gateways)), int(n%int64(len(f.gateways)))
		for _, g := range f.gateways {
			g.byLayer[layer] += each
			g.open += each
		}
		for range more {
			g := f.gateways[next%len(f.gateways)]
			g.byLayer[layer]++
			g.open++
			next++
		}
	}
}

// step lets everything happen that happens in the current slot.
func (f *simulation) step() {
	f.timers.run(f.now)
	for len(f.events) > 0 && slots(f.events[0].At) <= f.now {
		f.happen(f.events[0])
		f.events = f.events[1:]
	}
	f.operate()
	if f.syncNeeded {
		f.syncNeeded = false
		f.sync()
	}
	f.drainAll()
	f.arrive()
	f.clients.leave(f.now)
	f.measure.endSlot(f.now)
}

// changed notes that an object of the fleet has changed, which its controllers notice.
func (f *simulation) changed() { f.syncNeeded, f.operator.changed = true, true }

// dropRemoved forgets pods that are not in the API server any more.
func (f *simulation) dropRemoved() {
	if f.removedPods > 0 {
		f.gateways = slices.DeleteFunc(f.gateways, func(g *gateway) bool { return g.removed })
		f.removedPods = 0
	}
}

// happen lets an event happen.
func (f *simulation) happen(e Event) {
	f.measure.begin(f.now)
	switch e.Kind {
	case Rollout:
		f.deployment.version++
		f.deployment.write(func(*appsv1.DeploymentSpec) {})
	case ScaleIn:
		f.spec.Replicas = new(*f.spec.Replicas - int32(e.Count))
		f.renderStrategy()
	case ScaleOut:
		f.spec.Replicas = new(*f.spec.Replicas + int32(e.Count))
		f.renderStrategy()
	case RedisLoss:
		f.redisBackAt = max(f.redisBackAt, f.now+slots(e.Duration))
		f.timers.add(f.redisBackAt, f.changed)
	case Kill:
		running := f.choose(func(g *gateway) bool { return g.answers() })
		for _, g := range running[:min(e.Count, len(running))] {
			f.kill(g)
		}
	case NodeLoss:
		for range e.Count {
			if on := f.choose(func(g *gateway) bool { return !g.nodeLost }); len(on) > 0 {
				f.loseNodes(func(g *gateway) bool { return g.node == on[0].node })
			}
		}
	case ZoneLoss:
		f.loseZone()
	}
	f.changed()
}

// choose returns the pods for which may returns true, in a random order.
func (f *simulation) choose(may func(*gateway) bool) []*gateway {
	chosen := slices.DeleteFunc(slices.Clone(f.gateways), func(g *gateway) bool { return g.removed || !may(g) })
	f.random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// loseNodes takes the nodes of the gateways away for which on returns true.
func (f *simulation) loseNodes(on func(*gateway) bool) {
	for _, g := range f.gateways {
		if !g.removed && !g.nodeLost && on(g) {
			f.loseNode(g)
			f.nodesWithRoom[g.zone] = nil
		}
	}
}

// loseZone takes a zone away at random. The last zone stays.
func (f *simulation) loseZone() {
	var left []int
	for zone, lost := range f.zoneLost {
		if !lost {
			left = append(left, zone)
		}
	}
	if len(left) < 2 {
		return
	}
	zone := left[f.random.IntN(len(left))]
	f.zoneLost[zone] = true
	f.loseNodes(func(g *gateway) bool { return g.zone == zone })
}

// renderStrategy renders the Deployment anew, because percentages follow the size.
func (f *simulation) renderStrategy() {
	// It was rendered before, and only the size has changed.
	if rendered, err := renderedDeployment(f.spec); err == nil {
		f.strategy = rendered.Spec.Strategy
	}
}

// settled reports whether nothing is to be expected any more: all events have happened, all clients are back or gone,
// and the fleet has its size, its version and no gateway that drains or is to send clients to others.
func (f *simulation) settled() bool {
	d := &f.deployment
	status, size := d.live.Status, *f.spec.Replicas
	switch {
	case len(f.events) > 0, f.clients.away > 0, f.now < f.redisBackAt, f.syncNeeded,
		*d.live.Spec.Replicas != size, status.ObservedGeneration < d.live.Generation, d.live.Spec.Paused,
		status.Replicas != size, status.UpdatedReplicas != size, status.AvailableReplicas != size:
		return false
	}
	return !f.rebalances() && !slices.ContainsFunc(f.gateways, func(g *gateway) bool {
		return !g.removed && (!g.nodeLost && (g.terminating() || g.drain != nil) || g.nodeLost && !g.terminating())
	})
}

// counts returns what a sample counts of the gateways.
func (f *simulation) counts() (serving, draining, pods int, open int64) {
	for _, g := range f.gateways {
		if g.removed {
			continue
		}
		pods++
		open += g.open
		if g.state == contract.StateDraining && g.answers() {
			draining++
		}
		if g.serves() && g.pod.Annotations[render.AnnotationScaleIn] == "" {
			serving++
		}
	}
	return serving, draining, pods, open
}

// fullest returns the number of connections of the fullest gateway divided by the average, or 0 without any.
func (f *simulation) fullest() float64 {
	_, _, pods, open := f.counts()
	if open == 0 {
		return 0
	}
	most := int64(0)
	for _, g := range f.gateways {
		most = max(most, g.open)
	}
	return float64(most) * float64(pods) / float64(open)
}

// sample measures the second that ends now.
func (f *simulation) sample() Sample {
	serving, draining, pods, open := f.counts()
	return f.measure.sample(f.now, Sample{
		Connected: open,
		Away:      f.clients.away,
		Gone:      f.clients.gone,
		Serving:   serving,
		Draining:  draining,
		Pods:      pods,
	}, f.spec)
}

func (f *simulation) progress(sample Sample) Progress {
	return Progress{
		Elapsed:  time.Duration(f.now) * slotLength,
		Sample:   sample,
		Gateways: sample.Pods,
		Updated:  int(f.deployment.live.Status.UpdatedReplicas),
	}
}
