package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Source in which a test says what there is.
type world struct {
	clusters []v1alpha1.WebSocketCluster
	pods     []corev1.Pod
	token    string
	err      error
}

var errAway = errors.New("away")

func (w *world) Clusters(context.Context) ([]v1alpha1.WebSocketCluster, error) {
	return w.clusters, w.err
}

func (w *world) Pods(context.Context, client.ObjectKey) ([]corev1.Pod, error) { return w.pods, nil }

func (w *world) Token(context.Context, client.ObjectKey) (string, error) {
	if w.token == "" {
		return "", errAway
	}
	return w.token, nil
}

var demo = client.ObjectKey{Namespace: "team", Name: "demo"}

func oneFleet() *world {
	return &world{
		clusters: []v1alpha1.WebSocketCluster{{ObjectMeta: metav1.ObjectMeta{Namespace: demo.Namespace, Name: demo.Name}}},
		pods: []corev1.Pod{
			{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "a"}, Status: corev1.PodStatus{Phase: corev1.PodRunning}},
			{ObjectMeta: metav1.ObjectMeta{Name: "pending", UID: "p"}, Status: corev1.PodStatus{Phase: corev1.PodPending}},
		},
		token: "secret",
	}
}

// gatewayWith answers with a number of connections that the test sets; below 0 it fails.
func gatewayWith(t *testing.T, connections *atomic.Int64) *Scraper {
	t.Helper()
	scraper, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := connections.Load()
		if n < 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		assert.NoError(t, json.NewEncoder(w).Encode(contract.GatewayReport{Connections: int(n), State: contract.StateServing}))
	})
	return scraper
}

func start(t *testing.T, monitor *Monitor) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- monitor.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-done)
	})
}

func next(t *testing.T, monitor *Monitor) Snapshot {
	t.Helper()
	select {
	case changed := <-monitor.Changed():
		assert.Equal(t, demo, client.ObjectKeyFromObject(changed.Object))
		return monitor.Shown(t.Context(), demo)
	case <-time.After(10 * time.Second):
		require.FailNow(t, "the monitor told of no change")
		return Snapshot{}
	}
}

func TestMonitorTellsWhatIsWorthShowing(t *testing.T) {
	var connections atomic.Int64
	connections.Store(100)
	monitor := NewMonitor(oneFleet(), gatewayWith(t, &connections), 10*time.Millisecond, logr.Discard())
	start(t, monitor)

	first := next(t, monitor)
	assert.Len(t, first.Gateways, 1, "a pod that does not run is not asked")
	assert.Equal(t, int64(100), first.Connections())

	// A small step is kept back; the large one after it is told at once.
	connections.Store(101)
	connections.Store(200)
	assert.Equal(t, int64(200), next(t, monitor).Connections())

	connections.Store(-1)
	silent := next(t, monitor)
	assert.True(t, silent.Gateways["a"].Silent)
	assert.Equal(t, int64(200), silent.Connections(), "a gateway that does not answer keeps its clients for a while")
}

func TestMonitorIsQuietWithoutAChange(t *testing.T) {
	var connections atomic.Int64
	monitor := NewMonitor(oneFleet(), gatewayWith(t, &connections), time.Hour, logr.Discard())
	go func() { assert.NoError(t, monitor.round(t.Context())) }()
	next(t, monitor)
	// A second round that told of anything would block here, for nobody listens.
	require.NoError(t, monitor.round(t.Context()))
}

func TestMonitorForgetsWhatIsGone(t *testing.T) {
	var connections atomic.Int64
	connections.Store(1)
	fleets := oneFleet()
	monitor := NewMonitor(fleets, gatewayWith(t, &connections), time.Hour, logr.Discard())
	go func() { assert.NoError(t, monitor.round(t.Context())) }()
	assert.Equal(t, int64(1), next(t, monitor).Connections())
	fleets.clusters = nil
	require.NoError(t, monitor.round(t.Context()))
	connections.Store(-1)
	assert.Empty(t, monitor.Shown(t.Context(), demo).Gateways, "the last report would do for a fleet that is known")
}

func TestMonitorWaitsForTheToken(t *testing.T) {
	var connections atomic.Int64
	fleets := oneFleet()
	fleets.token = ""
	monitor := NewMonitor(fleets, gatewayWith(t, &connections), time.Hour, logr.Discard())
	require.NoError(t, monitor.round(t.Context()))
	assert.Empty(t, monitor.Shown(t.Context(), demo).Gateways)
}

func TestMonitorSaysWhatItCouldNotDo(t *testing.T) {
	fleets := oneFleet()
	fleets.err = errAway
	monitor := NewMonitor(fleets, NewScraper(nil), time.Hour, logr.Discard())
	require.ErrorIs(t, monitor.round(t.Context()), errAway)
}

func TestMonitorRunsOnTheLeaderOnly(t *testing.T) {
	assert.True(t, NewMonitor(nil, nil, 0, logr.Discard()).NeedLeaderElection())
}

// The first status after a start must not say that nobody is connected.
func TestShownBeforeTheFirstRound(t *testing.T) {
	var connections atomic.Int64
	connections.Store(40)
	monitor := NewMonitor(oneFleet(), gatewayWith(t, &connections), time.Hour, logr.Discard())
	assert.EqualValues(t, 40, monitor.Shown(t.Context(), demo).Connections())

	connections.Store(80)
	assert.EqualValues(t, 40, monitor.Shown(t.Context(), demo).Connections(), "looked at once only")
}
