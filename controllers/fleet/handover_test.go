package fleet

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// readyPod returns a running pod whose readiness probe succeeds.
func readyPod(name string) corev1.Pod {
	p := pod(name, corev1.PodRunning)
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

func waitingReport() contract.GatewayReport {
	return contract.GatewayReport{
		State: contract.StateDraining, Drain: &contract.DrainReport{Reason: "preStop", WaitsForAnother: true},
	}
}

func TestWaitInVain(t *testing.T) {
	serving := contract.GatewayReport{State: contract.StateServing}
	draining := contract.GatewayReport{State: contract.StateDraining}
	answer := func(p corev1.Pod, r contract.GatewayReport) Answer { return Answer{Pod: &p, Report: r} }
	terminating := readyPod("terminating")
	terminating.DeletionTimestamp = &metav1.Time{}
	waiting := answer(terminating, waitingReport())
	for name, c := range map[string]struct {
		other Answer
		want  bool
	}{
		"another one serves":          {answer(readyPod("new"), serving), true},
		"another one is not ready":    {answer(pod("new", corev1.PodRunning), serving), false},
		"another one terminates":      {answer(terminating, serving), false},
		"another one drains":          {answer(readyPod("new"), draining), false},
		"another one waits":           {answer(readyPod("new"), waitingReport()), false},
		"another one does not answer": {Answer{Pod: new(readyPod("new")), Report: serving, Err: errors.New("silent")}, false},
		"another one has handed over": {answer(terminating, contract.GatewayReport{State: contract.StateDrained}), false},
	} {
		t.Run(name, func(t *testing.T) {
			var names []string
			for _, asked := range waitInVain(&v1alpha1.WebSocketCluster{}, []Answer{waiting, c.other}) {
				names = append(names, asked.Name)
			}
			if c.want {
				assert.Equal(t, []string{"terminating"}, names)
			} else {
				assert.Empty(t, names)
			}
		})
	}
	for name, cluster := range map[string]*v1alpha1.WebSocketCluster{
		"deleted":        {ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}},
		"scaled to zero": {Spec: v1alpha1.WebSocketClusterSpec{Replicas: new(int32(0))}},
	} {
		assert.Len(t, waitInVain(cluster, []Answer{waiting, waiting}), 2, name)
	}
}

func TestMonitorTellsADrainingGatewayThatAnotherServes(t *testing.T) {
	source := oneFleet()
	source.pods = []corev1.Pod{readyPod("old"), readyPod("new")}
	var asked atomic.Int32
	scraper, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.JSONEq(t, `{"handOver":true,"joinOnly":true}`, string(body))
			assert.Equal(t, "/old"+contract.PathDrain, r.URL.Path)
			assert.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
			asked.Add(1)
			w.WriteHeader(http.StatusAccepted)
		}
		report := contract.GatewayReport{State: contract.StateServing}
		if r.URL.Path == "/old"+contract.PathFleet && asked.Load() == 0 {
			report = waitingReport()
		}
		assert.NoError(t, json.NewEncoder(w).Encode(report))
	})
	address := scraper.address
	scraper.address = func(pod *corev1.Pod) string { return address(pod) + "/" + pod.Name }
	start(t, newMonitor(source, scraper, 5*time.Millisecond))
	require.Eventually(t, func() bool { return asked.Load() > 0 }, 10*time.Second, time.Millisecond)
}

// What a gateway answers to a request is its latest report at once. The next scrape may be seconds away.
func TestMonitorNotesTheAnswersToItsRequests(t *testing.T) {
	source, state := oneFleet(), contract.StateServing
	scraper, pod := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == contract.PathDrain:
			var request contract.DrainRequest
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&request))
			assert.Equal(t, contract.DrainRequest{Reason: "scale-in", ServeAgain: true}, request)
			state = contract.StateDraining
			w.WriteHeader(http.StatusAccepted)
		case r.URL.Path == contract.PathUndrain && state == contract.StateDraining:
			state = contract.StateServing
		case r.URL.Path == contract.PathUndrain:
			w.WriteHeader(http.StatusConflict)
			return
		}
		assert.NoError(t, json.NewEncoder(w).Encode(contract.GatewayReport{State: state}))
	})
	pod.Status.Phase = corev1.PodRunning
	source.pods = []corev1.Pod{*pod}
	m, key := newMonitor(source, scraper, time.Hour), demo
	latest := func() contract.State {
		snapshot, known := m.LatestSnapshot(key)
		assert.True(t, known)
		return snapshot.Gateways[pod.UID].Report.State
	}
	_, known := m.LatestSnapshot(key)
	require.False(t, known)
	before := m.ScrapeNow(t.Context(), key)
	require.Equal(t, contract.StateServing, latest())
	require.NoError(t, m.Drain(t.Context(), key, pod, contract.DrainRequest{Reason: "scale-in", ServeAgain: true}))
	require.Equal(t, contract.StateDraining, latest())
	require.Equal(t, contract.StateServing, before.Gateways[pod.UID].Report.State, "a snapshot does not change")
	require.NoError(t, m.Undrain(t.Context(), key, pod))
	require.Equal(t, contract.StateServing, latest())
	require.ErrorContains(t, m.Undrain(t.Context(), key, pod), "409")
}
