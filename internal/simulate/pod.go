package simulate

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	// unreadyDelay is how long the kubelet takes to notice that readiness fails: two probes, two seconds apart.
	unreadyDelay = 3 * time.Second
	// readyDelay is how long the kubelet takes to notice that readiness succeeds again.
	readyDelay = time.Second
	// exitDelay is how long a pod whose process has ended stays in the API server.
	exitDelay = time.Second
)

var (
	readyConditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	// lostConditions are those of a pod that was ready when its kubelet fell silent: Kubernetes changes the one alone.
	lostConditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionFalse}, {Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
	}
	runningStatuses = []corev1.ContainerStatus{{
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
)

// createPod creates a pod on a node of a zone that is not lost.
func (f *simulation) createPod(version int) *gateway {
	f.created++
	zone, node := f.place()
	name := "gateway-" + strconv.Itoa(f.created)
	g := &gateway{version: version, zone: zone, node: node, listedAt: -1, byLayer: make([]int64, len(f.scenario.Clients))}
	g.pod.ObjectMeta = metav1.ObjectMeta{
		Name:              name,
		UID:               types.UID(name),
		CreationTimestamp: metav1.NewTime(f.now.time()),
		Labels:            f.zoneLabels[zone],
	}
	f.gateways = append(f.gateways, g)
	f.byUID[g.pod.UID] = g
	f.changed()
	return g
}

// place returns the zone with the fewest pods among those that are left, and a node there.
func (f *simulation) place() (zone, node int) {
	zone = -1
	for i, lost := range f.zoneLost {
		if !lost && (zone < 0 || f.podsInZone[i] < f.podsInZone[zone]) {
			zone = i
		}
	}
	f.podsInZone[zone]++
	for _, node := range f.nodesWithRoom[zone] {
		if f.podsOnNode[node] < f.scenario.PodsPerNode {
			f.podsOnNode[node]++
			return zone, node
		}
	}
	f.nodes++
	f.podsOnNode[f.nodes] = 1
	f.nodesWithRoom[zone] = []int{f.nodes}
	return zone, f.nodes
}

// start lets the process of a pod begin after a time, and the pod be ready then. A gateway that has never reached Redis
// is not ready before it has.
func (f *simulation) start(g *gateway, after slot) {
	process := g.processes
	f.timers.add(f.now+after, func() {
		if g.removed || g.nodeLost || g.processes != process || g.terminating() {
			return
		}
		if f.now < f.redisBackAt {
			f.start(g, f.redisBackAt-f.now)
			return
		}
		f.serve(g)
		f.setReady(g, true)
	})
}

// serve begins the process of a pod.
func (f *simulation) serve(g *gateway) {
	g.processes++
	g.state, g.drain = contract.StateServing, nil
	g.startedAt, g.partialAt = f.now, 0
	g.accepted, g.crowd = minuteRate{}, minuteRate{}
	g.tokens, g.refilledAt = float64(*f.spec.Gateway.ConnectRate), f.now
	g.pod.Status.ContainerStatuses = runningStatuses
}

// afterProcess calls a function after a time, unless the process of the pod has ended by then.
func (f *simulation) afterProcess(g *gateway, after time.Duration, call func()) {
	process := g.processes
	f.timers.add(f.now+slots(after), func() {
		if g.processes == process && g.answers() {
			call()
		}
	})
}

// setReady changes the readiness of a pod. Load balancers and the Deployment's controller notice it later.
func (f *simulation) setReady(g *gateway, ready bool) {
	if g.ready() == ready {
		return
	}
	g.pod.Status.Conditions = nil
	if g.nodeLost {
		g.pod.Status.Conditions = lostConditions
	}
	if ready {
		g.pod.Status.Conditions = readyConditions
		g.availableFrom = f.now + slot(f.minReadySeconds)*slotsPerSecond
		f.timers.add(g.availableFrom, f.changed)
	}
	f.relist(g)
	f.changed()
}

// relist lets load balancers notice later that a pod may have become one that takes clients, or none any more.
func (f *simulation) relist(g *gateway) {
	f.timers.add(f.now+slots(f.scenario.EndpointDelay), func() { f.list(g, g.ready() && !g.terminating() && !g.removed) })
}

// terminate deletes a pod: its gateway drains, within the grace period.
func (f *simulation) terminate(g *gateway) {
	grace := f.graceSeconds
	if !g.running() && !g.nodeLost {
		grace = 0
	}
	g.pod.DeletionTimestamp = new(metav1.NewTime(f.now.time().Add(time.Duration(grace) * time.Second)))
	f.podsInZone[g.zone]--
	f.podsOnNode[g.node]--
	f.relist(g)
	f.changed()
	switch timeout := f.spec.Drain.Timeout.Duration; {
	case g.nodeLost:
		// No kubelet confirms that the pod has ended.
		return
	case !g.running():
		f.exit(g)
		return
	case g.drain == nil, g.drain.keep > 0:
		f.beginDrain(g, "preStop", timeout, min(timeout, f.spec.Drain.PropagationDelay.Duration), true)
	default:
		if g.drain.final = true; g.state == contract.StateDrained {
			f.exit(g)
		}
	}
	f.timers.add(f.now+slot(grace)*slotsPerSecond, func() {
		if !g.removed && !g.nodeLost && g.running() {
			f.cut(g, causeCut)
			f.exit(g)
		}
	})
}

// exit ends the process of a pod that is deleted. The pod goes a moment later.
func (f *simulation) exit(g *gateway) {
	g.processes++
	g.state = ""
	f.timers.add(f.now+slots(exitDelay), func() { f.removePod(g) })
}

func (f *simulation) removePod(g *gateway) {
	if g.removed {
		return
	}
	g.removed = true
	f.removedPods++
	f.list(g, false)
	delete(f.byUID, g.pod.UID)
	f.operator.forget(g.pod.UID)
	f.changed()
}

// kill ends the process of a gateway, which starts again in its pod.
func (f *simulation) kill(g *gateway) {
	f.cut(g, causeCut)
	g.processes++
	g.state, g.drain = "", nil
	g.pod.Status.ContainerStatuses = nil
	f.setReady(g, false)
	if g.terminating() {
		f.exit(g)
		return
	}
	f.start(g, f.random.between(f.scenario.Restart))
}

// loseNode takes the node of a gateway away. Kubernetes notices it after a time, and deletes the pod after another.
func (f *simulation) loseNode(g *gateway) {
	f.cut(g, causeNodeLost)
	g.nodeLost = true
	f.timers.add(f.now+slots(f.scenario.NodeDetection), func() {
		f.setReady(g, false)
		f.timers.add(f.now+slots(f.scenario.EvictionDelay), func() {
			if !g.removed && !g.terminating() {
				f.terminate(g)
			}
		})
	})
}
