package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func fleetKey(i int) client.ObjectKey {
	return client.ObjectKey{Namespace: "team", Name: fmt.Sprintf("fleet-%02d", i)}
}

func TestLanesScrapeAFleetOnceAtATime(t *testing.T) {
	lanes := newLanes()
	entered, err := lanes.answering.enter(t.Context(), demo)
	require.NoError(t, err)
	assert.True(t, entered)
	entered, err = lanes.silent.enter(t.Context(), demo)
	require.NoError(t, err)
	assert.False(t, entered, "it is in another lane")
	lanes.answering.leave(demo)
	entered, err = lanes.silent.enter(t.Context(), demo)
	require.NoError(t, err)
	assert.True(t, entered)
}

func TestLanesLeaveOutSilentFleetsWithoutAPlace(t *testing.T) {
	silent := newLanes().of(true)
	for i := range maxSilentScrapes {
		entered, err := silent.enter(t.Context(), fleetKey(i))
		require.NoError(t, err)
		assert.True(t, entered)
	}
	entered, err := silent.enter(t.Context(), fleetKey(maxSilentScrapes))
	require.NoError(t, err)
	assert.False(t, entered)
	silent.leave(fleetKey(0))
	entered, err = silent.enter(t.Context(), fleetKey(maxSilentScrapes))
	require.NoError(t, err)
	assert.True(t, entered, "it was not left behind as scraped")
}

func TestLanesWaitForAPlaceUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answering := newLanes().of(false)
		for i := range MaxConcurrentScrapes {
			_, err := answering.enter(t.Context(), fleetKey(i))
			require.NoError(t, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := answering.enter(ctx, demo)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// perFleetSource has a running gateway for each cluster.
type perFleetSource struct{ clusters int }

func (s perFleetSource) Clusters(context.Context) ([]v1alpha1.WebSocketCluster, error) {
	all := make([]v1alpha1.WebSocketCluster, s.clusters)
	for i := range all {
		all[i].ObjectMeta = metav1.ObjectMeta{Namespace: fleetKey(i).Namespace, Name: fleetKey(i).Name}
	}
	return all, nil
}

func (s perFleetSource) Pods(_ context.Context, cluster client.ObjectKey) ([]corev1.Pod, error) {
	return []corev1.Pod{pod(cluster.Name, corev1.PodRunning)}, nil
}

func (s perFleetSource) Token(_ context.Context, cluster client.ObjectKey) (string, error) {
	return cluster.Name, nil
}

// Hundreds of gateways that do not answer must not keep the monitor from the others.
func TestMonitorScrapesOthersWhileFleetsAreSilent(t *testing.T) {
	const fleets = 2 * MaxConcurrentScrapes
	hang := make(chan struct{})
	// The last fleet answers, and the requests of all others hang.
	scraper, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+fleetKey(fleets).Name {
			<-hang
			return
		}
		assert.NoError(t, json.NewEncoder(w).Encode(contract.GatewayReport{Connections: 7}))
	})
	monitor := newMonitor(perFleetSource{clusters: fleets + 1}, scraper, time.Hour)
	for i := range fleets {
		monitor.store(fleetKey(i), Snapshot{}, true)
	}
	go func() { assert.NoError(t, monitor.scrapeAll(t.Context())) }()
	select {
	case changed := <-monitor.Changed():
		assert.Equal(t, fleetKey(fleets), client.ObjectKeyFromObject(changed.Object))
	case <-time.After(scrapeTimeout / 2):
		assert.Fail(t, "the fleet that answers waits for those that do not")
	}
	close(hang)
	monitor.underway.Wait()
}
