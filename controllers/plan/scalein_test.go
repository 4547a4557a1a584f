package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// A gateway of these tests is ready and serves clients, unless a change says otherwise.
type change func(*corev1.Pod, *contract.GatewayReport)

func notReady(pod *corev1.Pod, _ *contract.GatewayReport) { pod.Status.Conditions = nil }

func retired(pod *corev1.Pod, _ *contract.GatewayReport) {
	setAnnotation(pod, corev1.PodDeletionCost, render.DeletionCostRetired)
}

func terminates(pod *corev1.Pod, _ *contract.GatewayReport) { pod.DeletionTimestamp = new(at(100)) }

// lost is a gateway whose node does not confirm that it has ended.
func lost(pod *corev1.Pod, _ *contract.GatewayReport) { pod.DeletionTimestamp = new(at(-61)) }

func ended(pod *corev1.Pod, _ *contract.GatewayReport) { pod.Status.Phase = corev1.PodFailed }

// silent is a gateway that has never reported.
func silent(_ *corev1.Pod, report *contract.GatewayReport) { report.State = "" }

// uncounted is a gateway that has become ready since the latest scrape.
func uncounted(pod *corev1.Pod, report *contract.GatewayReport) {
	silent(pod, report)
	pod.Labels = map[string]string{"test": "uncounted"}
}

func answers(_ *corev1.Pod, report *contract.GatewayReport) { report.State = contract.StateDraining }

// runs is a gateway whose process is there.
func runs(pod *corev1.Pod, _ *contract.GatewayReport) {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
}

// onDeadNode is a gateway of whose node Kubernetes has not heard for long, and that does not answer.
func onDeadNode(pod *corev1.Pod, report *contract.GatewayReport) {
	silent(pod, report)
	runs(pod, report)
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionFalse}, {Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
	}
}

// tainted is a gateway whose pod Kubernetes deletes because its node is dead. It had drained before.
func tainted(pod *corev1.Pod, report *contract.GatewayReport) {
	silent(pod, report)
	terminates(pod, report)
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager",
	}}
}

// gated is a pod that is ready when another controller says so.
func gated(pod *corev1.Pod, _ *contract.GatewayReport) {
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/registered"}}
}

// markedUntil is a gateway that was told to drain until a time.
func markedUntil(seconds int64) change {
	return func(pod *corev1.Pod, _ *contract.GatewayReport) {
		setAnnotation(pod, render.AnnotationScaleIn, at(seconds).UTC().Format(time.RFC3339))
	}
}

// drains is a gateway that does not take clients any more.
func drains(state contract.State) change {
	return func(pod *corev1.Pod, report *contract.GatewayReport) {
		notReady(pod, report)
		report.State, report.Drain = state, &contract.DrainReport{}
	}
}

func inZone(zone string) change {
	return func(pod *corev1.Pod, _ *contract.GatewayReport) {
		pod.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	}
}

func createdAt(seconds int64) change {
	return func(pod *corev1.Pod, _ *contract.GatewayReport) { pod.CreationTimestamp = at(seconds) }
}

func setAnnotation(pod *corev1.Pod, name, value string) {
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[name] = value
}

// simpleFleet holds the pods and the reports of gateways.
type simpleFleet struct {
	pods    []corev1.Pod
	reports fleet.Snapshot
}

// with returns the fleet with a further gateway.
func (f simpleFleet) with(name string, connections int, changes ...change) simpleFleet {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	report := contract.GatewayReport{State: contract.StateServing, Connections: connections, MaxConnections: 1000}
	for _, apply := range changes {
		apply(&pod, &report)
	}
	f.pods = append(f.pods, pod)
	if f.reports.Gateways == nil {
		f.reports = fleet.Snapshot{Gateways: map[types.UID]fleet.Gateway{}, Asked: map[types.UID]bool{}}
	}
	f.reports.Asked[pod.UID] = fleet.IsReady(&pod) && pod.Labels["test"] != "uncounted"
	if report.State != "" {
		f.reports.Gateways[pod.UID] = fleet.Gateway{Report: report}
	}
	return f
}

// scaleInSpec returns a spec with a drain of 60 s, and time enough for clients.
func scaleInSpec(replicas int32, changes ...func(*v1alpha1.WebSocketClusterSpec)) v1alpha1.WebSocketClusterSpec {
	spec := v1alpha1.WebSocketClusterSpec{Replicas: &replicas}
	spec.Drain.Timeout = &metav1.Duration{Duration: time.Minute}
	for _, change := range changes {
		change(&spec)
	}
	spec.SetDefaults()
	return spec
}

func maxUnavailable(n int32) func(*v1alpha1.WebSocketClusterSpec) {
	return func(s *v1alpha1.WebSocketClusterSpec) { s.Disruption.MaxUnavailable = new(intstr.FromInt32(n)) }
}

// settledAt returns a Deployment that has reached its size.
func settledAt(replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		Spec:   appsv1.DeploymentSpec{Replicas: &replicas},
		Status: appsv1.DeploymentStatus{Replicas: replicas, UpdatedReplicas: replicas},
	}
}

// shown is a step as text: pods by their names.
func shown(step plan.ScaleInStep) string {
	text := fmt.Sprintf("size %d", step.Replicas)
	for _, d := range step.Drain {
		text += fmt.Sprintf(", drain %s until %d", d.Gateway.Pod.Name, d.Deadline.Unix()-at(0).Unix())
	}
	for _, g := range step.Retire {
		text += ", retire " + g.Pod.Name
	}
	for _, g := range step.Restore {
		text += ", restore " + g.Pod.Name
	}
	if step.Draining > 0 {
		text += fmt.Sprintf(", %d drain", step.Draining)
	}
	if step.Waits != "" {
		text += ", waits: " + step.Waits
	}
	return text
}

func TestNextScaleInStep(t *testing.T) {
	noBudget := func(s *v1alpha1.WebSocketClusterSpec) { s.Gateway.ConnectRate = new(int32) }
	var three simpleFleet
	three = three.with("a", 30).with("b", 10).with("c", 20)
	for _, c := range []struct {
		name       string
		spec       v1alpha1.WebSocketClusterSpec
		deployment *appsv1.Deployment
		fleet      simpleFleet
		want       string
	}{
		{"a new fleet", scaleInSpec(3), nil, simpleFleet{}, "size 3"},
		{"a settled fleet", scaleInSpec(3), settledAt(3), three, "size 3"},
		{"a larger fleet", scaleInSpec(5), settledAt(3), three, "size 5"},
		{"a smaller one: the emptiest drains", scaleInSpec(2, noBudget), settledAt(3), three,
			"size 3, drain b until 60, 1 drain"},
		{"one at a time", scaleInSpec(1, noBudget), settledAt(3), three,
			"size 3, drain b until 60, 1 drain, " +
				"waits: gateways that drain already: 1, and spec.disruption.maxUnavailable allows 1"},
		{"or two", scaleInSpec(1, noBudget, maxUnavailable(2)), settledAt(3), three,
			"size 3, drain b until 60, drain c until 60, 2 drain"},
		{"evictions are forbidden, a scale-in is not", scaleInSpec(2, noBudget, maxUnavailable(0)), settledAt(3), three,
			"size 3, drain b until 60, 1 drain"},
		{"it drains", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 5, markedUntil(50), drains(contract.StateDraining)).with("c", 25),
			"size 3, 1 drain"},
		{"the request did not arrive", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 10, markedUntil(50)).with("c", 20),
			"size 3, drain b until 50, 1 drain"},
		{"it is drained", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, markedUntil(50), drains(contract.StateDrained)).with("c", 30),
			"size 3, retire b"},
		{"Kubernetes knows", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, markedUntil(50), drains(contract.StateDrained), retired).with("c", 30),
			"size 2"},
		{"Kubernetes is about to delete it", scaleInSpec(2), settledAt(2),
			simpleFleet{}.with("a", 30).with("b", 0, markedUntil(50), drains(contract.StateDrained), retired).with("c", 30),
			"size 2"},
		{"it terminates", scaleInSpec(2), settledAt(2),
			simpleFleet{}.with("a", 30).with("b", 0, markedUntil(50), drains(contract.StateDrained), retired, terminates).
				with("c", 30), "size 2"},
		{"the deadline has passed", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 7, markedUntil(-5), drains(contract.StateDraining)).with("c", 20),
			"size 3, retire b"},
		{"it serves again, because no operator came", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 7, markedUntil(-40)).with("c", 20),
			"size 3, drain b until 60, 1 drain"},
		{"it may still close what is left", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 7, markedUntil(-4), drains(contract.StateDraining)).with("c", 20),
			"size 3, 1 drain"},
		{"a silent one has its time", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, markedUntil(50), silent).with("c", 20),
			"size 3, drain b until 50, 1 drain"},
		{"the size is raised again", scaleInSpec(3), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 5, markedUntil(50), drains(contract.StateDraining)).with("c", 25),
			"size 3, restore b"},
		{"above what it was", scaleInSpec(5), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 5, markedUntil(50), drains(contract.StateDraining)).with("c", 25),
			"size 5, restore b"},
		{"raised a little: the one with more clients serves again", scaleInSpec(3), settledAt(4),
			simpleFleet{}.with("a", 30).with("b", 5, markedUntil(50), drains(contract.StateDraining)).
				with("c", 25, markedUntil(50), drains(contract.StateDraining)).with("d", 1),
			"size 4, restore c, 1 drain"},
		{"a rollout goes first", scaleInSpec(2), rollsOut(4, 1),
			simpleFleet{}.with("a", 30).with("b", 5, markedUntil(50), drains(contract.StateDraining)).with("c", 25).
				with("new", 0, notReady, silent),
			"size 3, restore b, waits: gateways of a new version replace the old ones"},
		{"also for a size that is raised again", scaleInSpec(3), rollsOut(4, 1),
			simpleFleet{}.with("a", 30).with("b", 5, markedUntil(-40)).with("c", 25).with("new", 0, notReady, silent),
			"size 3, restore b"},
		{"a gateway that does not answer may be the fullest", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, silent).with("c", 20), "size 3, drain c until 60, 1 drain"},
		{"one that has just become ready may be the emptiest", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, uncounted).with("c", 20),
			"size 3, waits: gateway b has just become ready, and its clients are not counted yet"},
		{"also where it would go", scaleInSpec(1, noBudget, maxUnavailable(2)), settledAt(2),
			simpleFleet{}.with("a", 0, uncounted).with("b", 0, uncounted),
			"size 2, waits: gateway b has just become ready, and its clients are not counted yet"},
		{"one that is empty and not ready need not wait", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, uncounted).with("c", 0, notReady, silent), "size 3, retire c"},
		{"nor one that drains already", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, uncounted).
				with("c", 5, markedUntil(50), drains(contract.StateDraining)), "size 3, 1 drain"},
		{"a ready one that is new does not keep an old size", scaleInSpec(3), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, uncounted).with("c", 20), "size 3"},
		{"none answers", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 0, silent).with("b", 0, silent).with("c", 0, silent),
			"size 3, waits: gateway a serves and does not answer the operator"},
		{"one that runs and is cut off has its time", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, notReady, silent, runs).with("c", 20), "size 3, drain b until 60, 1 drain"},
		{"one that is lost with its node goes first, and at once", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, onDeadNode).with("c", 1), "size 3, retire b"},
		{"and keeps no other one from going", scaleInSpec(1), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, onDeadNode, terminates).with("c", 1),
			"size 3, drain c until 60, 1 drain"},
		{"also one that drained when it was lost", scaleInSpec(1), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, onDeadNode, markedUntil(50)).with("c", 1),
			"size 3, drain c until 60, retire b, 1 drain"},
		{"nor does one that drained when it was lost, when Kubernetes deletes it", scaleInSpec(1), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, tainted).with("c", 1), "size 3, drain c until 60, 1 drain"},
		{"one that is deleted because of a taint and answers drains", scaleInSpec(1), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 9, tainted, answers).with("c", 1),
			"size 3, waits: gateways that drain already: 1, and spec.disruption.maxUnavailable allows 1"},
		{"one whose time is over does not count any more", scaleInSpec(1), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, markedUntil(-10), silent, runs, notReady, terminates).with("c", 1),
			"size 3, drain c until 60, 1 drain"},
		{"one that another controller keeps from being ready is not lost", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 0, onDeadNode, gated).with("c", 1), "size 3, drain b until 60, 1 drain"},
		{"each closes one connection a second or more", scaleInSpec(1, maxUnavailable(9),
			func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxReconnectsPerSecond = new(int32(2)) }), settledAt(4),
			simpleFleet{}.with("a", 9).with("b", 1).with("c", 1).with("d", 1),
			"size 4, drain b until 60, drain c until 60, 2 drain, " +
				"waits: gateways that drain already: 2, and drains may send 2 clients per second to the others"},
		{"a change that the Deployment has not observed", scaleInSpec(2), &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Generation: 2},
			Spec:       appsv1.DeploymentSpec{Replicas: new(int32(3))},
			Status:     appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, ObservedGeneration: 1},
		}, three, "size 3"},
		{"to nothing: nobody could take the clients", scaleInSpec(0), settledAt(3), three, "size 0"},
		{"by Kubernetes", scaleInSpec(2, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Drain.ScaleIn = v1alpha1.ScaleInOnTermination
		}), settledAt(3), three, "size 2"},
		{"without a drain", scaleInSpec(2, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Drain.Timeout = &metav1.Duration{}
		}), settledAt(3), three, "size 2"},
		{"pods that were never created", scaleInSpec(2), &appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: new(int32(5))},
			Status: appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2},
		}, simpleFleet{}.with("a", 30).with("b", 10), "size 2"},
		{"pods that are being created", scaleInSpec(2, noBudget), &appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: new(int32(9))},
			Status: appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3},
		}, simpleFleet{}.with("a", 30).with("b", 10).with("c", 0, notReady, silent), "size 3, retire c"},
		{"Kubernetes has chosen before", scaleInSpec(1, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 10).with("c", 4, terminates),
			"size 3, waits: gateways that drain already: 1, and spec.disruption.maxUnavailable allows 1"},
		{"one that drains by hand is the next", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 10).with("c", 40, drains(contract.StateDraining)),
			"size 3, drain c until 60, 1 drain"},
		{"one that has drained by hand goes", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 10).with("c", 0, drains(contract.StateDrained)), "size 3, retire c"},
		{"too many clients for those that stay", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 700).with("b", 650).with("c", 651),
			"size 3, waits: those that stay could not hold all clients: raise spec.replicas or spec.gateway.maxConnections"},
		{"just enough room", scaleInSpec(2), settledAt(3),
			simpleFleet{}.with("a", 700).with("b", 650).with("c", 650), "size 3, drain b until 60, 1 drain"},
		{"a budget by hand for one", scaleInSpec(1, maxUnavailable(2), func(s *v1alpha1.WebSocketClusterSpec) {
			s.Rollout.MaxReconnectsPerSecond = new(int32(10))
		}), settledAt(3), simpleFleet{}.with("a", 400).with("b", 300).with("c", 300),
			"size 3, drain b until 60, 1 drain, " +
				"waits: gateways that drain already: 1, and drains may send 10 clients per second to the others"},
		{"a budget by hand for two", scaleInSpec(1, maxUnavailable(2), func(s *v1alpha1.WebSocketClusterSpec) {
			s.Rollout.MaxReconnectsPerSecond = new(int32(10))
		}), settledAt(3), simpleFleet{}.with("a", 400).with("b", 250).with("c", 250),
			"size 3, drain b until 60, drain c until 60, 2 drain"},
		{"a wrong mark is none", scaleInSpec(2, noBudget), settledAt(3),
			simpleFleet{}.with("a", 30).with("b", 10, func(pod *corev1.Pod, _ *contract.GatewayReport) {
				setAnnotation(pod, render.AnnotationScaleIn, "soon")
			}).with("c", 20), "size 3, drain b until 60, 1 drain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			step := plan.NextScaleInStep(plan.ScaleIn{
				Spec: c.spec, Deployment: c.deployment, Gateways: plan.Gateways(c.fleet.pods, c.fleet.reports, at(0)), Now: at(0),
			})
			assert.Equal(t, c.want, shown(step))
		})
	}
}

// The fleet shrinks by as many gateways as the case names.
func TestNextScaleInStepChooses(t *testing.T) {
	for _, c := range []struct {
		name  string
		want  []string
		fleet simpleFleet
	}{
		{"those that are not up first", []string{"e", "d", "c", "b"}, simpleFleet{}.with("a", 1).with("b", 0).
			with("c", 7, notReady).with("d", 9, drains(contract.StateDraining)).with("e", 0, notReady, silent)},
		{"the fewest clients", []string{"c", "a"}, simpleFleet{}.with("a", 2).with("b", 3).with("c", 1)},
		{"the newest of equals", []string{"b", "c"},
			simpleFleet{}.with("a", 1, createdAt(1)).with("b", 1, createdAt(3)).with("c", 1, createdAt(2))},
		{"one of the fullest zone", []string{"c", "d"}, simpleFleet{}.with("a", 1, inZone("x")).with("b", 2, inZone("y")).
			with("c", 50, inZone("z")).with("d", 60, inZone("z")).with("e", 70, inZone("z"))},
		{"then one of any", []string{"b", "d", "a"},
			simpleFleet{}.with("a", 1, inZone("x")).with("b", 2, inZone("y")).with("c", 4, inZone("y")).
				with("d", 3, inZone("y"))},
		{"never one that has ended, goes or is lost", []string{"c"},
			simpleFleet{}.with("a", 0, ended).with("lost", 3, lost).
				with("b", 0, terminates, drains(contract.StateDrained)).with("c", 5).with("d", 6)},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateways := plan.Gateways(c.fleet.pods, c.fleet.reports, at(0))
			staying := int32(0)
			for _, g := range gateways {
				require.NotEqual(t, "lost", g.Pod.Name)
				if g.Pod.DeletionTimestamp == nil {
					staying++
				}
			}
			spec := scaleInSpec(staying-int32(len(c.want)), maxUnavailable(9))
			spec.Gateway.ConnectRate = new(int32)
			step := plan.NextScaleInStep(plan.ScaleIn{
				Spec: spec, Deployment: settledAt(staying), Gateways: gateways, Now: at(0),
			})
			var chosen []string
			for _, g := range step.Retire {
				chosen = append(chosen, g.Pod.Name)
			}
			for _, d := range step.Drain {
				chosen = append(chosen, d.Gateway.Pod.Name)
			}
			assert.Equal(t, c.want, chosen)
		})
	}
}
