package plan_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// simulation is a fleet with the controllers that act on it: the operator, which may be killed between two of its
// writes, the Deployment's controller, the kubelets and the gateways. It checks the operator's promises as it goes.
type simulation struct {
	t      *testing.T
	random *rand.Rand
	now    int64
	// log holds the last things that happened, for a failure.
	log []string

	replicas, limit int32
	size            int32
	// version is that of the pod template. generation counts the changes of the Deployment, observed those that its
	// controller has seen.
	version              int
	generation, observed int64
	paused, holdLast     bool
	pods                 []*simulatedPod
	created              int
	// filledUp counts the pods of an old version that were created for a paused Deployment.
	filledUp int
	// toNothing reports that the Deployment was told to delete all pods, so that the choice is that of Kubernetes.
	toNothing bool
	// deleted counts the pods that the Deployment's controller has deleted on scale-ins.
	deleted int
}

type simulatedPod struct {
	corev1.Pod
	version int
	report  contract.GatewayReport
	// counted reports whether the operator has scraped the gateway since it is up.
	counted bool
	// deadline is when the gateway closes what it has left.
	deadline int64
}

const simulatedDrain = 60

func newSimulation(t *testing.T, seed uint64) *simulation {
	return &simulation{
		t: t, random: rand.New(rand.NewPCG(seed, 0)),
		replicas: 3, limit: 1 + int32(seed%3), size: 3, observed: 1, generation: 1,
	}
}

func (s *simulation) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%5d ", s.now)+fmt.Sprintf(format, args...))
	s.log = s.log[max(0, len(s.log)-40):]
}

// promise fails the test with the last things that happened.
func (s *simulation) promise(kept bool, format string, args ...any) {
	if !kept {
		for _, line := range s.log {
			s.t.Log(line)
		}
		for _, p := range s.pods {
			s.t.Logf("%s: version %d of %d, ready %t, deleted %t, %v, %+v", p.Name, p.version, s.version, p.ready(),
				p.DeletionTimestamp != nil, p.Annotations, p.report)
		}
		s.t.Fatalf(format, args...)
	}
}

// staying returns the pods that are not being deleted.
func (s *simulation) staying() []*simulatedPod {
	return slices.DeleteFunc(slices.Clone(s.pods), func(p *simulatedPod) bool { return p.DeletionTimestamp != nil })
}

func (p *simulatedPod) ready() bool { return fleet.IsReady(&p.Pod) }

func (p *simulatedPod) setReady(ready bool) {
	p.Status.Conditions = nil
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
}

func (p *simulatedPod) serves() bool {
	return p.ready() && p.DeletionTimestamp == nil && p.report.State == contract.StateServing
}

func (p *simulatedPod) retired() bool {
	return p.Annotations[corev1.PodDeletionCost] == render.DeletionCostRetired
}

func (p *simulatedPod) marked() bool { return p.Annotations[render.AnnotationScaleIn] != "" }

// drains reports whether the gateway hands clients over.
func (p *simulatedPod) drains() bool { return p.report.State == contract.StateDraining }

// drain begins a drain, as POST /drain does.
func (p *simulatedPod) drain(now, deadline int64) {
	if p.report.State != contract.StateServing {
		return
	}
	p.report.State, p.deadline = contract.StateDraining, max(now+1, deadline)
	p.report.Drain = &contract.DrainReport{}
	p.setReady(false)
}

// undrain is POST /undrain.
func (p *simulatedPod) undrain() {
	if p.DeletionTimestamp == nil && p.report.State != contract.StateServing {
		p.report.State, p.report.Drain = contract.StateServing, nil
		p.setReady(true)
	}
}

func (s *simulation) deployment() *appsv1.Deployment {
	updated := int32(0)
	staying := s.staying()
	for _, p := range staying {
		if p.version == s.version {
			updated++
		}
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: s.generation},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(s.size),
			Paused:   s.paused,
			Strategy: appsv1.DeploymentStrategy{
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: new(intstr.FromInt32(1))},
			},
		},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: s.observed, Replicas: int32(len(staying)), UpdatedReplicas: updated,
		},
	}
}

// gateways returns what the operator knows of the gateways.
func (s *simulation) gateways() []plan.Gateway {
	var pods []corev1.Pod
	reports := fleet.Snapshot{Gateways: map[types.UID]fleet.Gateway{}, Asked: map[types.UID]bool{}}
	for _, p := range s.pods {
		pods = append(pods, p.Pod)
		if p.counted {
			reports.Gateways[p.UID], reports.Asked[p.UID] = fleet.Gateway{Report: p.report}, true
		}
	}
	return plan.Gateways(pods, reports, at(s.now))
}

// plan returns the operator's next step, and why it holds the rollout.
func (s *simulation) plan() (plan.ScaleInStep, plan.Hold) {
	spec := scaleInSpec(s.replicas, maxUnavailable(s.limit))
	return plan.NextScaleInStep(plan.ScaleIn{
		Spec: spec, Deployment: s.deployment(), Gateways: s.gateways(), Now: at(s.now),
	}), plan.HoldRollout(plan.Rollout{Spec: spec, Deployment: s.deployment(), Gateways: s.gateways()})
}

// operate lets the operator plan and carry out up to writes changes. Then it is killed.
func (s *simulation) operate(writes int) {
	step, hold := s.plan()
	s.note("operator: of %d: %s; %+v", s.replicas, shown(step), hold)
	s.check(step)
	change := func(apply func()) {
		if writes--; writes >= 0 {
			apply()
		}
	}
	if paused := hold.Why != ""; step.Replicas != s.size || paused != s.paused || hold.Last != s.holdLast {
		change(func() {
			s.toNothing = s.toNothing || s.replicas == 0 && step.Replicas < s.size
			s.size, s.paused, s.holdLast, s.generation = step.Replicas, paused, hold.Last, s.generation+1
		})
	}
	for _, d := range step.Drain {
		p := s.pod(d.Gateway)
		change(func() { setAnnotation(&p.Pod, render.AnnotationScaleIn, d.Deadline.UTC().Format(time.RFC3339)) })
		change(func() { p.drain(s.now, d.Deadline.Unix()-at(0).Unix()) })
	}
	for _, g := range step.Retire {
		p := s.pod(g)
		change(func() { setAnnotation(&p.Pod, corev1.PodDeletionCost, render.DeletionCostRetired) })
	}
	for _, g := range step.Restore {
		p := s.pod(g)
		change(p.undrain)
		change(func() {
			delete(p.Annotations, render.AnnotationScaleIn)
			delete(p.Annotations, corev1.PodDeletionCost)
		})
	}
}

func (s *simulation) pod(g plan.Gateway) *simulatedPod {
	i := slices.IndexFunc(s.pods, func(p *simulatedPod) bool { return p.UID == g.Pod.UID })
	return s.pods[i]
}

// check checks what a step promises.
func (s *simulation) check(step plan.ScaleInStep) {
	s.promise(step.Replicas >= s.replicas, "the Deployment falls below spec.replicas: %d of %d", step.Replicas, s.replicas)
	retired, draining, serving, left := int32(0), 0, 0, 0
	for _, p := range s.pods {
		if p.DeletionTimestamp == nil && p.retired() {
			retired++
		}
		if (p.DeletionTimestamp != nil || p.marked() || p.drains()) && p.report.State != contract.StateDrained {
			draining++
		}
		if p.serves() && !p.marked() {
			serving++
		}
	}
	if s.replicas > 0 && step.Replicas < s.size {
		s.promise(s.size-step.Replicas <= retired+s.size-int32(len(s.staying())),
			"the Deployment shrinks by more than the %d gateways that are retired", retired)
	}
	begins := 0
	for _, d := range step.Drain {
		p := s.pod(d.Gateway)
		s.promise(p.DeletionTimestamp == nil, "%s drains, and is being deleted", p.Name)
		if !p.marked() {
			begins++
			if p.serves() {
				left++
			}
		}
	}
	for _, p := range s.pods {
		uncounted := p.serves() && !p.counted && !p.marked()
		s.promise(begins == 0 || !uncounted, "another gateway drains before the clients of %s are counted", p.Name)
	}
	if begins > 0 {
		s.promise(draining+begins <= max(int(s.limit), draining), "%d gateways drain and %d begin, of %d", draining, begins,
			s.limit)
		s.promise(serving-left >= min(int(s.replicas), serving), "%d gateways serve, %d begin to drain, and %d are to stay",
			serving, left, s.replicas)
	}
	s.promise(len(step.Drain)+len(step.Retire)+len(step.Restore) <= 3*len(s.pods), "more changes than pods")
}

// control is the Deployment's controller and that of its ReplicaSets. It orders the pods as Kubernetes 1.37 does
// (pkg/controller/controller_utils.go, ActivePodsWithRanks).
func (s *simulation) control() {
	if s.observed < s.generation && s.random.IntN(2) == 0 {
		// The Deployment has told its ReplicaSets, which have not acted yet.
		s.observed = s.generation
		return
	}
	s.observed = s.generation
	staying := s.staying()
	old := slices.DeleteFunc(slices.Clone(staying), func(p *simulatedPod) bool { return p.version == s.version })
	current := slices.DeleteFunc(slices.Clone(staying), func(p *simulatedPod) bool { return p.version != s.version })
	surge := int32(0)
	if len(old) > 0 {
		surge = 1
	}
	for n := int32(len(staying)); n < s.size+surge && int32(len(current)) < s.size; n++ {
		version := s.version
		if s.paused && len(old) > 0 {
			// It fills up all versions in proportion, and the largest one first.
			version = old[0].version
			s.filledUp++
		}
		s.create(version)
		current = append(current, s.pods[len(s.pods)-1])
	}
	switch staying = s.staying(); {
	case s.paused && len(old) > 0:
		saturated := int32(len(current)) == s.size && !s.holdLast
		for _, p := range current {
			saturated = saturated && p.ready()
		}
		if saturated {
			for _, p := range old {
				s.remove(p, "rollout that is paused")
			}
		}
	case len(old) > 0:
		ready := 0
		for _, p := range staying {
			if p.ready() {
				ready++
			}
		}
		// Those of the new version that are not available yet keep old ones that are not ready as well.
		unavailable := 0
		for _, p := range current {
			if !p.ready() {
				unavailable++
			}
		}
		victim := s.firstOf(old)
		may := len(staying)-int(s.size)-unavailable > 0 && (ready > int(s.size) || !victim.ready())
		if may || s.size == 0 {
			s.remove(victim, "rollout")
		}
	default:
		for len(staying) > int(s.size) {
			victim := s.firstOf(staying)
			if !s.toNothing {
				s.deleted++
				starts := !victim.ready() && victim.report.Connections == 0
				served := victim.serves() && victim.report.Connections > 0
				s.promise((victim.retired() || starts) && !served, "the wrong pod is deleted: %s with %d clients", victim.Name,
					victim.report.Connections)
			}
			s.remove(victim, "scale-in")
			staying = s.staying()
		}
		s.toNothing = false
	}
}

// firstOf returns the pod that a ReplicaSet deletes first.
func (s *simulation) firstOf(pods []*simulatedPod) *simulatedPod {
	cost := func(p *simulatedPod) int {
		n, _ := strconv.Atoi(p.Annotations[corev1.PodDeletionCost])
		return n
	}
	order := func(ready bool) int {
		if ready {
			return 1
		}
		return 0
	}
	return slices.MinFunc(pods, func(a, b *simulatedPod) int {
		return cmp.Or(cmp.Compare(order(a.ready()), order(b.ready())), cmp.Compare(cost(a), cost(b)),
			b.CreationTimestamp.Compare(a.CreationTimestamp.Time))
	})
}

// deletes reports whether the Deployment's controller is about to delete pods. It does so at once, and chooses by what
// is ready at that moment, so nothing happens meanwhile.
func (s *simulation) deletes() bool {
	staying := s.staying()
	rolls := slices.ContainsFunc(staying, func(p *simulatedPod) bool { return p.version != s.version })
	return !rolls && len(staying) > int(s.size) || s.observed < s.generation
}

func (s *simulation) create(version int) {
	s.created++
	name := fmt.Sprintf("p%d", s.created)
	p := &simulatedPod{version: version}
	p.ObjectMeta = metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: at(s.now)}
	p.Labels = map[string]string{corev1.LabelTopologyZone: string(rune('a' + s.random.IntN(3)))}
	s.pods = append(s.pods, p)
	s.note("%s is created", name)
}

func (s *simulation) remove(p *simulatedPod, why string) {
	s.note("%s is deleted for a %s, with %d clients", p.Name, why, p.report.Connections)
	p.DeletionTimestamp = new(at(s.now + simulatedDrain + 15))
	p.drain(s.now, s.now+simulatedDrain)
}

// run lets a second pass for kubelets and gateways.
func (s *simulation) run() {
	s.now++
	for _, p := range s.pods {
		p.counted = p.report.State != "" && (p.counted || s.random.IntN(3) == 0)
		switch {
		case p.report.State == "" && p.DeletionTimestamp == nil:
			// It starts within some seconds.
			if !s.deletes() && s.random.IntN(3) == 0 {
				p.report = contract.GatewayReport{State: contract.StateServing, MaxConnections: 1000}
				p.setReady(true)
			}
		case p.marked() && p.DeletionTimestamp == nil && p.report.State != contract.StateServing && s.now > p.deadline+30:
			s.note("%s serves again", p.Name)
			p.undrain()
		case p.drains():
			left := max(0, p.deadline-s.now)
			closes := p.report.Connections
			if left > 0 {
				closes = min(closes, 1+closes/int(left))
			}
			p.report.Connections -= closes
			s.connect(closes)
			if p.report.Connections == 0 {
				p.report.State = contract.StateDrained
			}
		}
	}
	s.pods = slices.DeleteFunc(s.pods, func(p *simulatedPod) bool {
		return p.DeletionTimestamp != nil && p.report.State != contract.StateDraining
	})
}

// connect lets clients come to gateways that serve.
func (s *simulation) connect(n int) {
	serving := slices.DeleteFunc(slices.Clone(s.pods), func(p *simulatedPod) bool { return !p.serves() })
	for range n {
		if len(serving) > 0 {
			serving[s.random.IntN(len(serving))].report.Connections++
		}
	}
}

// happen lets one of the things happen that the operator does not plan.
func (s *simulation) happen() {
	staying := s.staying()
	if s.deletes() {
		return
	}
	switch s.random.IntN(60) {
	case 0, 1, 2:
		s.replicas = int32(s.random.IntN(8))
		s.note("the spec asks for %d", s.replicas)
	case 3:
		s.version++
		s.generation++
		s.note("a new version")
	case 4, 5:
		if len(staying) > 0 {
			p := staying[s.random.IntN(len(staying))]
			p.report, p.counted = contract.GatewayReport{}, false
			p.setReady(false)
			s.note("%s is killed, and starts again", p.Name)
		}
	case 6:
		if len(staying) > 0 {
			p := staying[s.random.IntN(len(staying))]
			s.remove(p, "eviction")
		}
	case 7, 8:
		if len(staying) > 0 {
			if p := staying[s.random.IntN(len(staying))]; p.report.State == contract.StateServing {
				p.setReady(!p.ready())
				s.note("%s is ready: %t", p.Name, p.ready())
			}
		}
	case 9:
		s.connect(s.random.IntN(60))
	case 11:
		s.note("the operator is away")
		for range 2 * simulatedDrain {
			s.control()
			s.run()
		}
	case 10:
		for _, p := range s.pods {
			p.report.Connections /= 2
		}
	}
}

// settle lets the controllers work without disturbance, and checks that they come to an end.
func (s *simulation) settle() {
	for _, p := range s.pods {
		if p.report.State == contract.StateServing {
			p.setReady(true)
		}
	}
	s.note("from now on nothing happens")
	for i := 0; i < 40*simulatedDrain && !s.settled(); i++ {
		s.operate(100)
		s.control()
		s.run()
	}
	s.promise(s.settled(), "there are %d gateways, the Deployment has %d, of %d", len(s.pods), s.size, s.replicas)
	step, hold := s.plan()
	s.promise(len(step.Drain)+len(step.Retire)+len(step.Restore) == 0 && step.Waits+hold.Why == "" &&
		step.Replicas == s.replicas && !s.paused, "a settled fleet has work left: %s; %+v", shown(step), hold)
}

// settled reports whether the fleet is what the spec asks for.
func (s *simulation) settled() bool {
	return len(s.pods) == int(s.replicas) && s.size == s.replicas && s.observed == s.generation &&
		!slices.ContainsFunc(s.pods, func(p *simulatedPod) bool {
			return !p.serves() || p.marked() || p.retired() || p.version != s.version
		})
}

// Whatever happens, and wherever the operator is killed: only gateways that have handed over their clients are deleted,
// no more drain at once than may, those that are to stay serve, and it always ends.
func TestScaleInKeepsItsPromises(t *testing.T) {
	deleted := 0
	for seed := range uint64(20) {
		s := newSimulation(t, seed)
		for range 10_000 {
			switch s.random.IntN(4) {
			case 0:
				s.operate(s.random.IntN(5))
			case 1:
				s.control()
			case 2:
				s.run()
			case 3:
				s.happen()
			}
		}
		s.settle()
		deleted += s.deleted
	}
	require.Greater(t, deleted, 500, "the simulation shows scale-ins")
}

// Kubernetes alone would let all gateways of a rollout drain at once. Held, no more do than may, it goes on as soon as
// one has ended, and Kubernetes creates no pod of the old version.
func TestHoldRolloutBoundsTheDrains(t *testing.T) {
	for seed := range uint64(12) {
		s := newSimulation(t, seed)
		s.replicas, s.size = 6, 6
		s.settle()
		s.connect(300)
		s.version, s.generation = s.version+1, s.generation+1
		began, most := s.now, 0
		for !s.settled() {
			s.control()
			s.operate(100)
			s.run()
			draining := 0
			for _, p := range s.pods {
				if p.drains() {
					draining++
				}
			}
			most = max(most, draining)
			s.promise(draining <= int(s.limit), "%d gateways drain at once, of %d", draining, s.limit)
			s.promise(s.now-began < 6*2*simulatedDrain, "the rollout does not end")
		}
		require.Equal(t, int(s.limit), most, "it is as fast as it may be")
		require.Zero(t, s.filledUp)
		require.Greater(t, s.now-began, 6/int64(s.limit)*simulatedDrain/2)
	}
}

// As long as no pod is deleted, a scale-in can be undone whole.
func TestScaleInCanBeUndone(t *testing.T) {
	const steps = 80
	for step := range steps {
		s := newSimulation(t, 1)
		s.replicas, s.size, s.limit = 6, 6, 3
		s.settle()
		s.connect(300)
		s.replicas = 3
		for i := 0; i < step && s.deleted == 0 && s.size == 6; i++ {
			s.operate(i % 4)
			s.run()
		}
		if s.size < 6 {
			continue
		}
		before := s.created
		s.replicas = 6
		s.settle()
		require.Equal(t, before, s.created, "no gateway had to be replaced")
		require.Zero(t, s.deleted)
	}
}
