package fleetview_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/golden"
)

// now is when the fleets of these tests are observed.
var now = time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)

// observation is a fleet of a size without pods whose status is up to date and at rest.
func observation(size int32) fleetview.Observation {
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "chat", Generation: 3}}
	cluster.Spec.SetDefaults()
	cluster.Spec.Replicas = &size
	cluster.Status.ObservedGeneration = 3
	for _, kind := range v1alpha1.ConditionTypes() {
		cluster.Status.Conditions = append(cluster.Status.Conditions,
			metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: atRest(kind)})
	}
	return fleetview.Observation{
		Cluster: cluster,
		Deployment: &appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: &size},
			Status: appsv1.DeploymentStatus{Replicas: size, UpdatedReplicas: size},
		},
		Now: now,
	}
}

// atRest returns the reason that a condition has in a fleet at rest.
func atRest(kind string) string {
	switch kind {
	case v1alpha1.ConditionProgressing:
		return v1alpha1.ReasonSettled
	case v1alpha1.ConditionDraining:
		return v1alpha1.ReasonNoneDraining
	}
	return "AtRest"
}

// gateway is a pod and what its gateway answers.
type gateway struct {
	pod    corev1.Pod
	answer fleet.Answer
	asked  bool
}

// with adds gateways to an observation.
func with(o fleetview.Observation, gateways ...gateway) fleetview.Observation {
	for _, g := range gateways {
		o.Pods = append(o.Pods, g.pod)
		if g.asked {
			g.answer.Pod = &g.pod
			o.Answers = append(o.Answers, g.answer)
		}
	}
	return o
}

// serving is a ready gateway with a number of connections.
func serving(name string, connections int, changes ...func(*gateway)) gateway {
	g := gateway{asked: true}
	g.pod = corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID(name),
			Labels:            map[string]string{corev1.LabelTopologyZone: "a"},
			CreationTimestamp: metav1.NewTime(now.Add(-2 * time.Hour)),
		},
		Spec: corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}},
		},
	}
	g.answer.Report = contract.GatewayReport{
		Node: name, Version: "v1", State: contract.StateServing, Connections: connections, MaxConnections: 1000,
		ConnectRate: new(2.5),
		Broker:      contract.BrokerReport{Kind: contract.BrokerRedis, State: contract.BrokerReady},
	}
	for _, change := range changes {
		change(&g)
	}
	return g
}

func notReady(g *gateway) { g.pod.Status.Conditions = nil }

func inZone(zone string) func(*gateway) {
	return func(g *gateway) { g.pod.Labels = map[string]string{corev1.LabelTopologyZone: zone} }
}

// draining is a gateway that began to drain 10 s ago, for 60 s.
func draining(reason string, perSecond float64) func(*gateway) {
	return func(g *gateway) {
		notReady(g)
		g.answer.Report.State = contract.StateDraining
		g.answer.Report.Drain = &contract.DrainReport{
			Reason: reason, StartedAt: now.Add(-10 * time.Second), Deadline: now.Add(50 * time.Second),
			ClosesPerSecond: perSecond, Closed: 7,
		}
	}
}

func waits(g *gateway) { g.answer.Report.Drain.WaitsForAnother = true }

func drained(reason string) func(*gateway) {
	return func(g *gateway) {
		draining(reason, 0)(g)
		g.answer.Report.State, g.answer.Report.Connections = contract.StateDrained, 0
	}
}

// silent is a gateway that does not answer.
func silent(g *gateway) {
	g.answer.Report, g.answer.Err = contract.GatewayReport{}, errors.New("ask gateway: connection refused")
}

func deleted(g *gateway) { g.pod.DeletionTimestamp = new(metav1.NewTime(now.Add(30 * time.Second))) }

func lost(g *gateway) {
	silent(g)
	g.pod.DeletionTimestamp = new(metav1.NewTime(now.Add(-5 * time.Minute)))
}

func ended(g *gateway) {
	g.asked = false
	g.pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on\nmemory"}
}

func unscheduled(g *gateway) {
	g.asked, g.pod.Spec.NodeName, g.pod.Labels = false, "", nil
	g.pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node takes it"},
	}}
}

func crashing(g *gateway) {
	silent(g)
	notReady(g)
	g.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s"},
	}}}
}

func withoutBackplane(g *gateway) {
	notReady(g)
	g.answer.Report.Broker = contract.BrokerReport{
		Kind: contract.BrokerRedis, State: contract.BrokerConnecting, Reason: contract.BrokerUnreachable,
	}
}

func text(t *testing.T, view interface{ WriteText(w io.Writer) error }) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, view.WriteText(&b))
	return b.String()
}

func TestStatusAsText(t *testing.T) {
	atWork := with(observation(5), serving("pod-01", 120), serving("pod-02", 80, inZone("b")),
		serving("pod-03", 40, draining("scale-in", 4)), serving("pod-04", 0, drained("by hand")),
		serving("pod-05", 9, draining("preStop", 0), deleted), serving("pod-06", 3, draining("by hand", 2), waits),
		serving("pod-07", 0, withoutBackplane), serving("pod-08", 0, silent), serving("pod-09", 0, unscheduled),
		serving("pod-10", 0, crashing), serving("pod-11", 0, lost), serving("pod-12", 0, ended))
	atWork.Cluster.Status.Conditions[0] = metav1.Condition{Type: v1alpha1.ConditionAvailable,
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonTooFewServing, Message: "2 of 5 gateways serve"}
	atWork.Cluster.Status.Conditions[1] = metav1.Condition{Type: v1alpha1.ConditionProgressing,
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonScalingIn, Message: "1 gateway drains"}

	notAsked := with(observation(1), serving("pod-01", 0, func(g *gateway) { g.asked = false }))
	notAsked.NotAsked = `read the admin token: secrets "chat-admin" is forbidden`
	notAsked.Cluster.Status.Replicas, notAsked.Cluster.Status.Connections, notAsked.Cluster.Status.Capacity = 1, 5, 1000

	behind := observation(2)
	behind.Cluster.Generation = 4
	fresh := observation(2)
	fresh.Cluster.Status = v1alpha1.WebSocketClusterStatus{ObservedGeneration: -1}

	for name, o := range map[string]fleetview.Observation{
		"at-rest": with(observation(2), serving("pod-02", 80, inZone("b")), serving("pod-01", 120)),
		"at-work": atWork, "not-asked": notAsked, "operator-behind": behind, "no-status-yet": fresh,
	} {
		t.Run(name, func(t *testing.T) {
			golden.File(t, "testdata/status-"+name+".txt", text(t, fleetview.Status(o)))
		})
	}
}

func TestStatusAsJSON(t *testing.T) {
	o := with(observation(2), serving("pod-01", 40, draining("scale-in", 4)), serving("pod-02", 0, silent))
	out, err := json.MarshalIndent(fleetview.Status(o), "", "  ")
	require.NoError(t, err)
	golden.File(t, "testdata/status.json", string(out)+"\n")
}

// A script that waits for a change must not see one where only time has passed.
func TestStatusAsJSONChangesOnlyWithTheFleet(t *testing.T) {
	o := with(observation(2), serving("pod-01", 120), serving("pod-02", 9, draining("by hand", 0)))
	before, err := json.Marshal(fleetview.Status(o))
	require.NoError(t, err)
	o.Now = now.Add(3 * time.Second)
	after, err := json.Marshal(fleetview.Status(o))
	require.NoError(t, err)
	assert.JSONEq(t, string(before), string(after))
}

func TestEndOfADrain(t *testing.T) {
	for name, c := range map[string]struct {
		connections int
		perSecond   float64
		delay       time.Duration
		changes     []func(*gateway)
		want        *time.Time
	}{
		"at its pace":                   {40, 4, 0, nil, new(now.Add(10 * time.Second))},
		"after the propagation delay":   {40, 4, 15 * time.Second, nil, new(now.Add(15 * time.Second))},
		"at its deadline at the latest": {4000, 4, 0, nil, new(now.Add(50 * time.Second))},
		"without a pace":                {40, 0, 0, nil, new(now.Add(50 * time.Second))},
		"not known while it waits":      {40, 4, 0, []func(*gateway){waits}, nil},
		"over when it is drained":       {0, 0, 0, []func(*gateway){drained("by hand")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			changes := append([]func(*gateway){draining("by hand", c.perSecond)}, c.changes...)
			o := with(observation(1), serving("pod-01", c.connections, changes...))
			o.Cluster.Spec.Drain.PropagationDelay = &metav1.Duration{Duration: c.delay}
			view, err := fleetview.GatewayStatus(o, "pod-01")
			require.NoError(t, err)
			assert.Equal(t, c.want, view.Drain.EndsAt)
		})
	}
}

func TestListOfFleetsAsText(t *testing.T) {
	one, other := observation(2).Cluster, observation(3).Cluster
	one.Status.Ready, one.Status.Connections, one.Status.Capacity = "2/2", 200, 2000
	other.Name, other.Status.Ready, other.Status.DrainingReplicas = "feed", "1/3", 1
	other.Status.Conditions[2] = metav1.Condition{Type: v1alpha1.ConditionDraining, Reason: v1alpha1.ReasonHandingOver}
	list := fleetview.List([]v1alpha1.WebSocketCluster{*one, *other})
	assert.Equal(t, `NAME   READY   CONNECTIONS   DRAINING   NOT AS AT REST
chat   2/2     200/2000      0          -
feed   1/3     0/0           1          Draining (HandingOver)
`, text(t, list))
}

func TestFitCutsToTheTerminal(t *testing.T) {
	assert.Equal(t, "one\ntwo\n", fleetview.Fit("one\ntwo\n", 80, 24))
	assert.Equal(t, "öne\ntwo\n", fleetview.Fit("öne and more\ntwo\n", 3, 24))
	assert.Equal(t, "one\n... and 2 more lines\n", fleetview.Fit("one\ntwo\nthree\n", 80, 3))
}
