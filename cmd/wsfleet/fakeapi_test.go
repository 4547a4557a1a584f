package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	testNamespace = "default"
	testToken     = "s3cret"
	testJWTKey    = "a key of thirty-two bytes or more"
)

// fakeAPI is an API server that has a few objects, and forwards ports of pods to gateways of the test's own process.
type fakeAPI struct {
	t      *testing.T
	server *httptest.Server
	// withoutWebSocket is true for a server that is asked for port-forwards over SPDY only. It is set before any request.
	withoutWebSocket bool

	// mu guards the fields below.
	mu sync.Mutex
	// objects are the objects by their paths below that of their kind, such as pods/chat-gateway-1.
	objects map[string]metav1.Object
	// refused are paths of which the user may see nothing.
	refused map[string]bool
	// ports are the addresses of the private ports of gateways by the names of their pods.
	ports map[string]string
}

// http404 is the handler of a server that has no path.
var http404 = http.NotFoundHandler()

// startAPI starts an API server without objects.
func startAPI(t *testing.T) *fakeAPI {
	t.Helper()
	a := &fakeAPI{
		t: t, objects: map[string]metav1.Object{}, refused: map[string]bool{}, ports: map[string]string{},
	}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

// kubeconfig writes a kubeconfig file with a context for the API server, and returns its path.
func (a *fakeAPI) kubeconfig() string {
	a.t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["test"] = &clientcmdapi.Cluster{Server: a.server.URL}
	file.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", Namespace: testNamespace}
	file.Contexts["elsewhere"] = &clientcmdapi.Context{Cluster: "test", Namespace: "elsewhere"}
	file.CurrentContext = "test"
	path := filepath.Join(a.t.TempDir(), "kubeconfig")
	require.NoError(a.t, clientcmd.WriteToFile(*file, path))
	return path
}

// put adds or replaces an object of a resource.
func (a *fakeAPI) put(resource string, object metav1.Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	object.SetNamespace(testNamespace)
	if object.GetUID() == "" {
		object.SetUID(types.UID(object.GetName()))
	}
	a.objects[resource+"/"+object.GetName()] = object
}

// remove removes an object.
func (a *fakeAPI) remove(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.objects, path)
}

// refuse hides a path from the user.
func (a *fakeAPI) refuse(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[path] = true
}

// ServeHTTP answers a request for an object, for a list, or for a port-forward.
func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, path, namespaced := strings.Cut(r.URL.Path, "/namespaces/")
	namespace, path, _ := strings.Cut(path, "/")
	if pod, forward := strings.CutSuffix(path, "/portforward"); forward {
		a.forward(w, r, strings.TrimPrefix(pod, "pods/"))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	resource, name, single := strings.Cut(path, "/")
	switch object, found := a.objects[path]; {
	case r.URL.Path == "/version":
		answer(w, apiversion.Info{GitVersion: "v1.35.0"})
	case !namespaced:
		http.NotFound(w, r)
	case a.refused[path], a.refused[resource] && !single:
		fail(w, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, name, nil))
	case single && found && namespace == testNamespace && r.Method == http.MethodPatch:
		if err := json.NewDecoder(r.Body).Decode(object); err != nil {
			fail(w, apierrors.NewBadRequest(err.Error()))
			return
		}
		answer(w, withKind(object))
	case single && found && namespace == testNamespace:
		answer(w, withKind(object))
	case single:
		fail(w, apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name))
	default:
		a.list(w, r, resource, namespace)
	}
}

// list answers with the objects of a resource that the request's label selector matches. The caller holds the lock.
func (a *fakeAPI) list(w http.ResponseWriter, r *http.Request, resource, namespace string) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	require.NoError(a.t, err)
	list := map[string]any{"apiVersion": "v1", "kind": "PodList", "metadata": map[string]any{}}
	switch resource {
	case "websocketclusters":
		list["apiVersion"], list["kind"] = v1alpha1.GroupVersion.String(), v1alpha1.KindWebSocketCluster+"List"
	case "events":
		list["kind"] = "EventList"
	}
	items := []any{}
	for path, object := range a.objects {
		if strings.HasPrefix(path, resource+"/") && namespace == testNamespace &&
			selector.Matches(labels.Set(object.GetLabels())) {
			items = append(items, object)
		}
	}
	list["items"] = items
	answer(w, list)
}

// withKind returns an object with its kind, which objects of Go lack.
func withKind(object metav1.Object) any {
	switch o := object.(type) {
	case *corev1.Pod:
		o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	case *corev1.Secret:
		o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	case *appsv1.Deployment:
		o.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	case *v1alpha1.WebSocketCluster:
		o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster))
	}
	return object
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(err.ErrStatus.Code))
	err.ErrStatus.Kind, err.ErrStatus.APIVersion = "Status", "v1"
	_ = json.NewEncoder(w).Encode(err.ErrStatus)
}

// forward forwards a connection to the private port of a pod's gateway, as a kubelet does.
func (a *fakeAPI) forward(w http.ResponseWriter, r *http.Request, pod string) {
	a.mu.Lock()
	address := a.ports[pod]
	a.mu.Unlock()
	streams := make(chan httpstream.Stream, 2)
	conn := a.upgrade(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	var data, reasons httpstream.Stream
	for data == nil || reasons == nil {
		select {
		case s := <-streams:
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				reasons = s
			} else {
				data = s
			}
		case <-conn.CloseChan():
			return
		}
	}
	forwardStreams(r.Context(), address, data, reasons)
	<-conn.CloseChan()
}

// upgrade answers the request for a port-forward over SPDY, or over a WebSocket unless the server has none. It returns
// nil when it refuses.
func (a *fakeAPI) upgrade(
	w http.ResponseWriter, r *http.Request, newStream httpstream.NewStreamHandler,
) httpstream.Connection {
	if !websocket.IsWebSocketUpgrade(r) {
		if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
			return nil
		}
		return spdy.NewResponseUpgrader().UpgradeResponse(w, r, newStream)
	}
	if a.withoutWebSocket {
		http.Error(w, "a proxy lets no WebSocket through", http.StatusForbidden)
		return nil
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{"SPDY/3.1+" + portforward.PortForwardProtocolV1Name}}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil
	}
	conn, err := spdy.NewServerConnection(portforward.NewTunnelingConnection("test", socket), newStream)
	if err != nil {
		return nil
	}
	return conn
}

// forwardStreams copies between a stream and an address until one of them ends.
func forwardStreams(ctx context.Context, address string, data, reasons httpstream.Stream) {
	target, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		_, _ = io.WriteString(reasons, "error forwarding port 9090: connection refused")
		_, _ = reasons.Close(), data.Close()
		return
	}
	go func() {
		_, _ = io.Copy(target, data)
		_ = target.Close()
	}()
	_, _ = io.Copy(data, target)
	_, _ = reasons.Close(), data.Close()
}

// putFleet adds a fleet of a size with a Deployment and an admin Secret.
func (a *fakeAPI) putFleet(name string, size int32) *v1alpha1.WebSocketCluster {
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}}
	cluster.Spec.Replicas = &size
	cluster.Status = v1alpha1.WebSocketClusterStatus{ObservedGeneration: 1, Ready: "1/1", Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionAvailable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEnoughServing},
	}}
	a.put("websocketclusters", cluster)
	owner := []metav1.OwnerReference{*metav1.NewControllerRef(cluster,
		v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster))}
	a.put("deployments", &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: render.GatewayName(name), OwnerReferences: owner},
		Spec:       appsv1.DeploymentSpec{Replicas: &size},
		Status:     appsv1.DeploymentStatus{Replicas: size, UpdatedReplicas: size},
	})
	a.put("secrets", &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: render.AdminSecretName(name), OwnerReferences: owner},
		Data:       map[string][]byte{contract.AdminTokenKey: []byte(testToken)},
	})
	return cluster
}

// putPod adds a ready gateway pod of a fleet whose private port does not answer.
func (a *fakeAPI) putPod(cluster, name string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: render.SelectorLabels(cluster, render.ComponentGateway),
			CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)),
		},
		Spec: corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	pod.Labels[render.LabelCluster] = cluster
	a.put("pods", pod)
	return pod
}

// putGateway adds a ready gateway pod of a fleet, and runs its gateway. change sets what the test is about.
func (a *fakeAPI) putGateway(cluster, name string, change ...func(*config.Config)) *gateway.Gateway {
	a.t.Helper()
	tokens := a.t.TempDir()
	require.NoError(a.t, os.WriteFile(filepath.Join(tokens, contract.AdminTokenKey), []byte(testToken), 0o600))
	cfg := config.Default()
	cfg.NodeName, cfg.Listen, cfg.AdminListen, cfg.AdminTokenDir = name, "127.0.0.1:0", "127.0.0.1:0", tokens
	cfg.DrainPropagationDelay = 10 * time.Millisecond
	cfg.ConnectRate = 0
	// Clients of the tests read only what they wait for, and so answer no pings.
	cfg.PingInterval = time.Hour
	cfg.JWTKey = testJWTKey
	for _, set := range change {
		set(&cfg)
	}
	g, err := gateway.New(a.t.Context(), cfg,
		gateway.Options{Version: "test", CloseTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(a.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	a.t.Cleanup(func() {
		cancel()
		require.NoError(a.t, <-done)
	})
	require.Eventually(a.t, func() bool { return g.Report().Broker.State == contract.BrokerReady }, testTimeout,
		time.Millisecond)
	a.putPod(cluster, name)
	a.putPort(name, g.AdminAddr())
	return g
}

// putFakeGateway adds a ready gateway pod of a fleet whose private port answers with a report, and as paths say.
func (a *fakeAPI) putFakeGateway(
	cluster, name string, report contract.GatewayReport, paths map[string]http.HandlerFunc,
) {
	a.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc(contract.PathFleet, func(w http.ResponseWriter, _ *http.Request) { answer(w, report) })
	for path, handler := range paths {
		mux.HandleFunc(path, handler)
	}
	server := httptest.NewServer(mux)
	a.t.Cleanup(server.Close)
	a.putPod(cluster, name)
	a.putPort(name, strings.TrimPrefix(server.URL, "http://"))
}

// putPort makes an address the private port of a pod.
func (a *fakeAPI) putPort(pod, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ports[pod] = address
}
