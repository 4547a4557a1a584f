package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// adminAddresses has the address of the admin port of each pod of a test, by namespace and name. There is no kubelet
// that would give the pod an IP of its own.
var adminAddresses sync.Map

// adminAddress is the AdminAddress option of the operator under test.
func adminAddress(pod *corev1.Pod) string {
	address, _ := adminAddresses.Load(client.ObjectKeyFromObject(pod))
	text, _ := address.(string)
	return text
}

// report is the report of a gateway.
type report = contract.GatewayReport

// fakeGateway is a gateway pod without a container. The test serves its admin endpoint.
type fakeGateway struct {
	f     *fleet
	pod   *corev1.Pod
	token string

	// mu guards the fields below.
	mu      sync.Mutex
	current report
	scrapes int
	refused int
	// drains are the requests to drain, undrains counts those to serve again.
	drains   []contract.DrainRequest
	undrains int
	// perSecond is the pace that the operator asked for.
	perSecond float64
}

// startFakeGateways creates n ready gateways of a fleet, without connections.
func startFakeGateways(t *testing.T, f *fleet, n int) []*fakeGateway {
	t.Helper()
	var all []*fakeGateway
	for i := range n {
		g := &fakeGateway{f: f, token: adminToken(t, f), current: report{
			Node:           fmt.Sprintf("%s-gateway-%d", f.name, i),
			Version:        "test",
			State:          contract.StateServing,
			MaxConnections: 10_000,
			Broker:         contract.BrokerReport{Kind: contract.BrokerRedis, State: contract.BrokerReady},
		}}
		server := httptest.NewServer(g)
		t.Cleanup(server.Close)
		g.createPod(t, g.current.Node, server.Listener.Addr().String())
		all = append(all, g)
	}
	return all
}

func adminToken(t *testing.T, f *fleet) string {
	t.Helper()
	var secret corev1.Secret
	f.eventuallyHas(adminSecret)
	require.NoError(t,
		env.client.Get(t.Context(), types.NamespacedName{Namespace: f.namespace, Name: adminSecret.name(f.name)}, &secret))
	return string(secret.Data[contract.AdminTokenKey])
}

// createPod creates a ready pod of the fleet's Deployment.
func (g *fakeGateway) createPod(t *testing.T, name, address string) {
	t.Helper()
	g.f.eventuallyHas(gatewayDeployment)
	g.pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   g.f.namespace,
			Name:        name,
			Labels:      podLabels(t, gatewayDeployment, g.f),
			Annotations: podAnnotations(t, gatewayDeployment, g.f),
		},
		// On a node, so that a deleted pod stays until its grace period is over.
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "gateway", Image: "test"}}},
	}
	template := g.f.gatewayTemplate(t)
	g.pod.Spec.Containers[0].Ports = template.Containers[0].Ports
	for _, volume := range template.Volumes {
		if volume.Name == "tls" {
			g.pod.Spec.Volumes = append(g.pod.Spec.Volumes, volume)
		}
	}
	adminAddresses.Store(client.ObjectKeyFromObject(g.pod), address)
	require.NoError(t, env.client.Create(t.Context(), g.pod))
	g.setReady(t, true)
}

// gatewayTemplate returns the pod that the gateways' Deployment makes.
func (f *fleet) gatewayTemplate(t *testing.T) corev1.PodSpec {
	t.Helper()
	var deployment appsv1.Deployment
	key := types.NamespacedName{Namespace: f.namespace, Name: gatewayDeployment.name(f.name)}
	require.NoError(t, env.client.Get(t.Context(), key, &deployment))
	return deployment.Spec.Template.Spec
}

// setReady does the kubelet's part.
func (g *fakeGateway) setReady(t *testing.T, ready bool) {
	t.Helper()
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	g.pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "127.0.0.1",
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
	}
	require.NoError(t, env.client.Status().Update(t.Context(), g.pod))
}

// remove deletes the pod at once, as the kubelet does when its containers have ended.
func (g *fakeGateway) remove(t *testing.T) {
	t.Helper()
	require.NoError(t, env.client.Delete(t.Context(), g.pod, client.GracePeriodSeconds(0)))
}

// report changes the gateway's report.
func (g *fakeGateway) report(change func(*report)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.current)
}

// seen returns how many scrapes the gateway answered, and how many it refused for their token.
func (g *fakeGateway) seen() (scrapes, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.scrapes, g.refused
}

// awaitScrapes waits for a number of further scrapes.
func (g *fakeGateway) awaitScrapes(more int) {
	before, _ := g.seen()
	g.f.eventually(func(t *assert.CollectT) {
		scrapes, _ := g.seen()
		assert.GreaterOrEqual(t, scrapes, before+more)
	})
}

// drain notes a request and begins to drain. The caller holds mu.
func (g *fakeGateway) drain(r *http.Request) {
	var request contract.DrainRequest
	_ = json.NewDecoder(r.Body).Decode(&request)
	if request.ClosesPerSecond > 0 && g.current.Drain != nil {
		g.perSecond = request.ClosesPerSecond
		g.current.Drain.ClosesPerSecond = request.ClosesPerSecond
	}
	if g.current.State != contract.StateServing || request.JoinOnly {
		return
	}
	g.drains = append(g.drains, request)
	now := time.Now()
	g.current.State = contract.StateDraining
	g.current.Drain = &contract.DrainReport{
		Reason: request.Reason, StartedAt: now, ClosesPerSecond: 2.5, Keep: request.Keep,
		Deadline: now.Add(time.Duration(request.TimeoutSeconds) * time.Second),
	}
}

// ServeHTTP answers as a gateway's admin port does.
func (g *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+g.token {
		g.refused++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + r.URL.Path {
	case http.MethodGet + " " + contract.PathFleet:
		g.scrapes++
	case http.MethodPost + " " + contract.PathDrain:
		g.drain(r)
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPost + " " + contract.PathUndrain:
		g.undrains++
		g.current.State, g.current.Drain = contract.StateServing, nil
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(g.current)
}
