package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// annotationAdmin is where a test's pod says which address stands for its admin port: there is no
// kubelet to give it one of its own.
const annotationAdmin = "example.com/admin-address"

// adminAddress is how the operator under test finds a pod's admin port.
func adminAddress(pod *corev1.Pod) string { return pod.Annotations[annotationAdmin] }

// report is what a gateway says of itself.
type report = contract.GatewayReport

// gateway stands for a gateway pod: the pod is an object without a container, and its admin
// endpoint is served here.
type gateway struct {
	f     *fleet
	pod   *corev1.Pod
	token string

	mu      sync.Mutex
	says    report
	scrapes int
	refused int
}

// startGateways makes n ready gateways of a fleet, serving nobody.
func startGateways(t *testing.T, f *fleet, n int) []*gateway {
	t.Helper()
	var all []*gateway
	for i := range n {
		g := &gateway{f: f, token: adminToken(t, f), says: report{
			Node: fmt.Sprintf("%s-gateway-%d", f.name, i), Version: "test", State: contract.StateServing, MaxConnections: 10_000,
			Broker: contract.BrokerReport{Kind: contract.BrokerRedis, State: contract.BrokerReady},
		}}
		server := httptest.NewServer(g)
		t.Cleanup(server.Close)
		g.createPod(t, g.says.Node, server.Listener.Addr().String())
		all = append(all, g)
	}
	return all
}

func adminToken(t *testing.T, f *fleet) string {
	t.Helper()
	var secret corev1.Secret
	f.eventuallyHas(adminSecret)
	require.NoError(t, env.client.Get(t.Context(), types.NamespacedName{Namespace: f.namespace, Name: adminSecret.name(f.name)}, &secret))
	return string(secret.Data[contract.AdminTokenKey])
}

// createPod makes a ready pod of the fleet's Deployment.
func (g *gateway) createPod(t *testing.T, name, address string) {
	t.Helper()
	g.f.eventuallyHas(gatewayDeployment)
	annotations := podAnnotations(t, gatewayDeployment, g.f)
	annotations[annotationAdmin] = address
	g.pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: g.f.namespace, Name: name, Labels: podLabels(t, gatewayDeployment, g.f),
			Annotations: annotations,
		},
		// On a node, so that a deleted pod stays until its grace period is over.
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "gateway", Image: "test"}}},
	}
	require.NoError(t, env.client.Create(t.Context(), g.pod))
	g.setReady(t, true)
}

// setReady is the kubelet's part.
func (g *gateway) setReady(t *testing.T, ready bool) {
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
func (g *gateway) remove(t *testing.T) {
	t.Helper()
	require.NoError(t, env.client.Delete(t.Context(), g.pod, client.GracePeriodSeconds(0)))
}

// report changes what the gateway says.
func (g *gateway) report(change func(*report)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.says)
}

func (g *gateway) seen() (scrapes, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.scrapes, g.refused
}

// awaitScrapes waits until the operator has asked so many times more.
func (g *gateway) awaitScrapes(more int) {
	before, _ := g.seen()
	g.f.eventually(func(t *assert.CollectT) {
		scrapes, _ := g.seen()
		assert.GreaterOrEqual(t, scrapes, before+more)
	})
}

// ServeHTTP answers as a gateway's admin port does.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Method != http.MethodGet || r.URL.Path != contract.PathFleet {
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+g.token {
		g.refused++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.scrapes++
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(g.says)
}
