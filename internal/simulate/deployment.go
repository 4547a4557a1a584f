package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// renderedDeployment returns the gateways' Deployment as the operator renders it for a spec. It returns an *Error when
// the spec's patch cannot be applied.
func renderedDeployment(spec v1alpha1.WebSocketClusterSpec) (*appsv1.Deployment, error) {
	objects, err := render.Objects(render.Input{Name: "fleet", Namespace: "default", Spec: spec})
	if err != nil {
		return nil, fmt.Errorf("render the Deployment: %w", err)
	}
	for _, object := range objects {
		if !object.IsGateway() {
			continue
		}
		if object.PatchProblem != "" {
			return nil, &Error{Field: object.PatchField, Problem: object.PatchProblem}
		}
		deployment := &appsv1.Deployment{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Desired.Object, deployment); err != nil {
			return nil, fmt.Errorf("read the Deployment: %w", err)
		}
		return deployment, nil
	}
	return nil, fmt.Errorf("the operator renders no Deployment")
}

// deployment is the Deployment of the gateways, and its ReplicaSets.
type deployment struct {
	// live is the object, whose status is that of the last sync.
	live *appsv1.Deployment
	// version is that of the pod template.
	version int
	// holdLast reports that new pods are not to become available.
	holdLast bool
	// sets are the ReplicaSets, the oldest one first. The last one is that of version.
	sets []*replicaSet
	// size is the size by which the ReplicaSets were scaled last.
	size int
}

// replicaSet holds the pods of one version.
type replicaSet struct {
	version  int
	replicas int
	// active are the pods that are not being deleted, available the number of those that have been ready for long enough.
	active    []*gateway
	available int
}

// maxPodsAtOnce is how many pods the controller of ReplicaSets creates or deletes in one sync.
const maxPodsAtOnce = 500

// write changes the Deployment's spec, as the API server stores it.
func (d *deployment) write(change func(spec *appsv1.DeploymentSpec)) {
	change(&d.live.Spec)
	d.live.Generation++
}

// sync is one pass of the Deployment's controller and of that of its ReplicaSets (kubernetes 1.37,
// pkg/controller/deployment).
func (f *simulation) sync() {
	d := &f.deployment
	d.live.Status.ObservedGeneration = d.live.Generation
	if last := d.sets[len(d.sets)-1]; last.version != d.version {
		d.sets = append(d.sets, &replicaSet{version: d.version})
	}
	f.observeSets()
	switch size := int(*d.live.Spec.Replicas); {
	case d.live.Spec.Paused || size != d.size:
		if size != d.size {
			// The next sync goes on with the rollout.
			f.changed()
		}
		d.scale(size)
	default:
		d.roll(size)
	}
	f.scalePods()
	f.observeSets()
	d.sets = slices.DeleteFunc(d.sets, func(set *replicaSet) bool {
		return set.version != d.version && set.replicas == 0 && len(set.active) == 0
	})
}

// observeSets counts the pods of each ReplicaSet, and with them the Deployment's status.
func (f *simulation) observeSets() {
	d := &f.deployment
	byVersion := map[int]*replicaSet{}
	for _, set := range d.sets {
		set.active, set.available = set.active[:0], 0
		byVersion[set.version] = set
	}
	status := &d.live.Status
	status.Replicas, status.UpdatedReplicas, status.ReadyReplicas, status.AvailableReplicas = 0, 0, 0, 0
	for _, g := range f.gateways {
		if g.removed || g.terminating() {
			continue
		}
		set := byVersion[g.version]
		set.active = append(set.active, g)
		status.Replicas++
		if g.version == d.version {
			status.UpdatedReplicas++
		}
		if g.ready() {
			status.ReadyReplicas++
			held := d.holdLast && g.version == d.version
			if f.now >= g.availableFrom && !held {
				set.available++
				status.AvailableReplicas++
			}
		}
	}
}

// surge returns how many pods the Deployment may have above its size, and how many of it may be unavailable.
func (d *deployment) surge(size int) (above, unavailable int) {
	update := d.live.Spec.Strategy.RollingUpdate
	above, _ = intstr.GetScaledValueFromIntOrPercent(update.MaxSurge, size, true)
	unavailable, _ = intstr.GetScaledValueFromIntOrPercent(update.MaxUnavailable, size, false)
	if above == 0 && unavailable == 0 {
		unavailable = 1
	}
	return above, unavailable
}

// total returns the number of pods that the ReplicaSets ask for.
func (d *deployment) total() int {
	sum := 0
	for _, set := range d.sets {
		sum += set.replicas
	}
	return sum
}

// scale spreads a size over the ReplicaSets, as the controller does for a Deployment that is paused or whose size has
// changed.
func (d *deployment) scale(size int) {
	before := d.size
	d.size = size
	current := d.sets[len(d.sets)-1]
	active := slices.DeleteFunc(slices.Clone(d.sets), func(set *replicaSet) bool { return set.replicas == 0 })
	if len(active) <= 1 {
		if len(active) == 1 {
			current = active[0]
		}
		current.replicas = size
		return
	}
	if current.replicas == size && current.available == size {
		for _, set := range active {
			if set != current {
				set.replicas = 0
			}
		}
		return
	}
	above, _ := d.surge(size)
	add := size + above - d.total()
	if size == 0 {
		add = -d.total()
	}
	slices.SortStableFunc(active, func(a, b *replicaSet) int { return cmp.Compare(b.replicas, a.replicas) })
	aboveBefore, _ := d.surge(before)
	left := add
	for _, set := range active {
		share := 0
		if before+aboveBefore > 0 {
			share = (set.replicas*(size+above)+(before+aboveBefore)/2)/(before+aboveBefore) - set.replicas
		}
		if add > 0 {
			share = max(0, min(share, left))
		} else {
			share = min(0, max(share, left, -set.replicas))
		}
		set.replicas += share
		left -= share
	}
	active[0].replicas = max(0, active[0].replicas+left)
}

// roll replaces pods of old versions by those of the current one, within the strategy's bounds.
func (d *deployment) roll(size int) {
	above, mayMiss := d.surge(size)
	current, old := d.sets[len(d.sets)-1], d.sets[:len(d.sets)-1]
	if current.replicas > size {
		current.replicas = size
	} else if total := d.total(); total < size+above {
		current.replicas += min(size+above-total, size-current.replicas)
	}
	if len(old) == 0 {
		return
	}
	minAvailable := size - mayMiss
	may := d.total() - minAvailable - (current.replicas - min(current.available, current.replicas))
	available := current.available
	for _, set := range old {
		// Pods that are not available go first.
		unavailable := min(max(0, set.replicas-set.available), max(0, may))
		set.replicas -= unavailable
		may -= unavailable
		available += set.available
	}
	may = min(may, available-minAvailable)
	for _, set := range old {
		n := min(set.replicas, max(0, may))
		set.replicas -= n
		may -= n
	}
}

// scalePods creates and deletes the pods of the ReplicaSets.
func (f *simulation) scalePods() {
	for _, set := range f.deployment.sets {
		missing := set.replicas - len(set.active)
		if missing > maxPodsAtOnce || missing < -maxPodsAtOnce {
			f.changed()
		}
		for range min(missing, maxPodsAtOnce) {
			f.start(f.createPod(set.version), f.random.between(f.scenario.PodStart))
		}
		if missing < 0 {
			slices.SortStableFunc(set.active, compareForDeletion)
			for _, g := range set.active[:min(-missing, maxPodsAtOnce)] {
				f.terminate(g)
			}
		}
	}
}

// compareForDeletion orders pods as a ReplicaSet deletes them (kubernetes 1.37, pkg/controller/controller_utils.go).
func compareForDeletion(a, b *gateway) int {
	return cmp.Or(
		compareBool(a.ready(), b.ready()),
		cmp.Compare(a.deletionCost(), b.deletionCost()),
		cmp.Compare(b.availableFrom, a.availableFrom),
		b.pod.CreationTimestamp.Compare(a.pod.CreationTimestamp.Time),
	)
}

// compareBool orders what is false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (g *gateway) deletionCost() int {
	cost, _ := strconv.Atoi(g.pod.Annotations[corev1.PodDeletionCost])
	return cost
}

// newDeployment returns the Deployment of a fleet that has reached its size.
func newDeployment(rendered *appsv1.Deployment, size int) deployment {
	live := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: rendered.Name, Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(size)),
			Strategy: rendered.Spec.Strategy,
		},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 1},
	}
	return deployment{live: live, version: 1, size: size, sets: []*replicaSet{{version: 1, replicas: size}}}
}
