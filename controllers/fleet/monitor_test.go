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
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSource is a Source with the fleets of a test.
type fakeSource struct {
	clusters []v1alpha1.WebSocketCluster
	pods     []corev1.Pod
	token    string
	err      error
}

var errUnavailable = errors.New("unavailable")

func (s *fakeSource) Clusters(context.Context) ([]v1alpha1.WebSocketCluster, error) {
	return s.clusters, s.err
}

func (s *fakeSource) Pods(context.Context, client.ObjectKey) ([]corev1.Pod, error) {
	return s.pods, nil
}

func (s *fakeSource) Token(context.Context, client.ObjectKey) (string, error) {
	if s.token == "" {
		return "", errUnavailable
	}
	return s.token, nil
}

var demo = client.ObjectKey{Namespace: "team", Name: "demo"}

func pod(name string, phase corev1.PodPhase) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Status:     corev1.PodStatus{Phase: phase},
	}
}

// oneFleet is a source with one fleet: a running gateway and a pending one.
func oneFleet() *fakeSource {
	return &fakeSource{
		clusters: []v1alpha1.WebSocketCluster{
			{ObjectMeta: metav1.ObjectMeta{Namespace: demo.Namespace, Name: demo.Name}},
		},
		pods:  []corev1.Pod{pod("a", corev1.PodRunning), pod("pending", corev1.PodPending)},
		token: "secret",
	}
}

// scraperOf returns a scraper whose gateway reports a number of connections that the test sets. A negative number makes
// the gateway answer 500.
func scraperOf(t *testing.T, connections *atomic.Int64) *Scraper {
	t.Helper()
	scraper, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := connections.Load()
		if n < 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		report := contract.GatewayReport{Connections: int(n), State: contract.StateServing}
		assert.NoError(t, json.NewEncoder(w).Encode(report))
	})
	return scraper
}

// newMonitor returns a monitor that has not been started.
func newMonitor(source Source, scraper *Scraper, interval time.Duration) *Monitor {
	return NewMonitor(MonitorOptions{
		Source:   source,
		Scraper:  scraper,
		Interval: interval,
		Failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "failures"}),
		Log:      logr.Discard(),
	})
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

// nextChange waits for an event of the monitor and returns the snapshot that it announces.
func nextChange(t *testing.T, monitor *Monitor) Snapshot {
	t.Helper()
	select {
	case changed := <-monitor.Changed():
		assert.Equal(t, demo, client.ObjectKeyFromObject(changed.Object))
		snapshot, known := monitor.StatusSnapshot(demo)
		assert.True(t, known)
		return snapshot
	case <-time.After(10 * time.Second):
		require.FailNow(t, "the monitor reported no change")
		return Snapshot{}
	}
}

func TestMonitorReportsOutdatedStatus(t *testing.T) {
	var connections atomic.Int64
	connections.Store(100)
	monitor := newMonitor(oneFleet(), scraperOf(t, &connections), 10*time.Millisecond)
	start(t, monitor)

	first := nextChange(t, monitor)
	assert.Len(t, first.Gateways, 1, "only running pods are scraped")
	assert.Equal(t, int64(100), first.Connections())

	// A small change is damped. The large one that follows is reported at once.
	connections.Store(101)
	connections.Store(200)
	assert.Equal(t, int64(200), nextChange(t, monitor).Connections())

	connections.Store(-1)
	stale := nextChange(t, monitor)
	assert.True(t, stale.Gateways["a"].Stale)
	assert.Equal(t, int64(200), stale.Connections(), "a gateway that does not answer keeps its clients for a while")
	var failures dto.Metric
	require.NoError(t, monitor.options.Failures.Write(&failures))
	assert.Positive(t, failures.GetCounter().GetValue())
}

func TestMonitorReportsNothingWithoutAChange(t *testing.T) {
	var connections atomic.Int64
	monitor := newMonitor(oneFleet(), scraperOf(t, &connections), time.Hour)
	go func() { assert.NoError(t, monitor.scrapeAll(t.Context())) }()
	nextChange(t, monitor)
	monitor.underway.Wait()
	// Nothing receives from Changed any more, so a second scrape that reported a change would block here.
	require.NoError(t, monitor.scrapeAll(t.Context()))
	monitor.underway.Wait()
}

func TestMonitorForgetsDeletedFleets(t *testing.T) {
	var connections atomic.Int64
	connections.Store(1)
	fleets := oneFleet()
	monitor := newMonitor(fleets, scraperOf(t, &connections), time.Hour)
	go func() { assert.NoError(t, monitor.scrapeAll(t.Context())) }()
	assert.Equal(t, int64(1), nextChange(t, monitor).Connections())
	monitor.underway.Wait()
	fleets.clusters = nil
	require.NoError(t, monitor.scrapeAll(t.Context()))
	connections.Store(-1)
	_, known := monitor.StatusSnapshot(demo)
	assert.False(t, known)
	assert.Empty(t, monitor.ScrapeNow(t.Context(), demo).Gateways, "a known fleet would still have its last report")
}

func TestMonitorWaitsForTheToken(t *testing.T) {
	var connections atomic.Int64
	fleets := oneFleet()
	fleets.token = ""
	monitor := newMonitor(fleets, scraperOf(t, &connections), time.Hour)
	require.NoError(t, monitor.scrapeAll(t.Context()))
	monitor.underway.Wait()
	_, known := monitor.StatusSnapshot(demo)
	assert.False(t, known)
	assert.Empty(t, monitor.ScrapeNow(t.Context(), demo).Gateways)
}

func TestMonitorReturnsErrorsOfItsSource(t *testing.T) {
	fleets := oneFleet()
	fleets.err = errUnavailable
	monitor := newMonitor(fleets, NewScraper(ScraperOptions{}), time.Hour)
	require.ErrorIs(t, monitor.scrapeAll(t.Context()), errUnavailable)
}

func TestMonitorRunsOnTheLeaderOnly(t *testing.T) {
	assert.True(t, newMonitor(nil, nil, 0).NeedLeaderElection())
}

// The first status after a start of the operator must not report a running fleet as one without clients.
func TestMonitorScrapesNowBeforeTheFirstInterval(t *testing.T) {
	var connections atomic.Int64
	connections.Store(40)
	monitor := newMonitor(oneFleet(), scraperOf(t, &connections), time.Hour)
	_, known := monitor.StatusSnapshot(demo)
	assert.False(t, known)
	assert.EqualValues(t, 40, monitor.ScrapeNow(t.Context(), demo).Connections())

	connections.Store(80)
	snapshot, known := monitor.StatusSnapshot(demo)
	assert.True(t, known)
	assert.EqualValues(t, 40, snapshot.Connections(), "the getter does not scrape")
}

// A plan must tell a gateway that does not answer from one that was not ready yet when it was asked.
func TestSnapshotTellsWhoWasAsked(t *testing.T) {
	ready := func(name string) corev1.Pod {
		p := pod(name, corev1.PodRunning)
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		return p
	}
	source := oneFleet()
	source.pods = []corev1.Pod{ready("serves"), pod("starts", corev1.PodRunning), pod("pending", corev1.PodPending)}
	for _, connections := range []int64{7, -1} {
		var reported atomic.Int64
		reported.Store(connections)
		monitor := newMonitor(source, scraperOf(t, &reported), time.Hour)
		monitor.ScrapeNow(t.Context(), demo)
		snapshot, _ := monitor.LatestSnapshot(demo)
		assert.Equal(t, map[types.UID]bool{source.pods[0].UID: true}, snapshot.Asked)
		monitor.storeReport(demo, &source.pods[0], contract.GatewayReport{})
		snapshot, _ = monitor.LatestSnapshot(demo)
		assert.Equal(t, map[types.UID]bool{source.pods[0].UID: true}, snapshot.Asked, "a command changes nothing")
	}
}
