package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestComputeReturnsEveryCondition(t *testing.T) {
	noObjects := func(o *Observation) { o.Gateways, o.Redis, o.Service = nil, nil, nil }
	for _, o := range []Observation{settled(), settled(noPods, noObjects)} {
		status := Compute(o)
		types := make([]string, 0, len(status.Conditions))
		for _, one := range status.Conditions {
			types = append(types, one.Type)
			assert.Equal(t, int64(7), one.ObservedGeneration)
			assert.NotEmpty(t, one.Message)
			assert.False(t, one.LastTransitionTime.IsZero())
		}
		assert.Equal(t, v1alpha1.ConditionTypes(), types)
	}
}

func TestComputeKeepsTransitionTimes(t *testing.T) {
	o := settled()
	o.Cluster.Status = Compute(o)
	o.Now = o.Now.Add(time.Hour)
	assert.Equal(t, o.Cluster.Status, Compute(o))
}

// counts are the numbers of a status.
type counts struct {
	ready         string
	replicas      int32
	readyReplicas int32
	draining      int32
	connections   int64
	capacity      int64
	drains        int
}

// silentPod makes the gateway that was added last leave the latest scrape unanswered.
func silentPod(o *Observation) {
	uid := o.Pods[len(o.Pods)-1].UID
	gateway := o.Fleet.Gateways[uid]
	gateway.Stale = true
	o.Fleet.Gateways[uid] = gateway
}

func TestComputeCounts(t *testing.T) {
	notReported := func(o *Observation) { addPod(o, true) }
	for _, c := range []struct {
		name    string
		changes []change
		want    counts
	}{
		{"settled", nil, counts{
			ready:         "2/2",
			replicas:      2,
			readyReplicas: 2,
			connections:   30,
			capacity:      20_000,
		}},
		{"surge does not count as replicas", []change{servingPod(1)}, counts{
			ready:         "2/2",
			replicas:      2,
			readyReplicas: 3,
			connections:   31,
			capacity:      30_000,
		}},
		{"a draining gateway has connections but no capacity", []change{drainingPod(5)}, counts{
			ready:         "2/2",
			replicas:      2,
			readyReplicas: 2,
			draining:      1,
			connections:   35,
			capacity:      20_000,
			drains:        1,
		}},
		{"a gateway that ends has no connections any more", []change{drainingPod(5), silentPod}, counts{
			ready:         "2/2",
			replicas:      2,
			readyReplicas: 2,
			draining:      1,
			connections:   30,
			capacity:      20_000,
			drains:        1,
		}},
		{"a gateway before its first report has the spec's capacity", []change{noPods, notReported}, counts{
			ready:         "1/2",
			replicas:      1,
			readyReplicas: 1,
			capacity:      10_000,
		}},
		{"no pods", []change{noPods}, counts{ready: "0/2", replicas: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Compute(settled(c.changes...))
			assert.Equal(t, c.want, counts{
				ready:         got.Ready,
				replicas:      got.Replicas,
				readyReplicas: got.ReadyReplicas,
				draining:      got.DrainingReplicas,
				connections:   got.Connections,
				capacity:      got.Capacity,
				drains:        len(got.Drain),
			})
			assert.Equal(t, int64(325), got.Effective.TerminationGracePeriodSeconds)
			assert.Equal(t, "a=b", got.Selector)
		})
	}
}

func TestDrainStatus(t *testing.T) {
	o := settled(drainingPod(5))
	entry := Compute(o).Drain[0]
	assert.Equal(t, "pod-2", entry.Pod)
	assert.Equal(t, int64(5), entry.Connections)
	assert.Equal(t, "preStop", entry.Reason)
	assert.True(t, entry.StartedAt.Time.Equal(o.Now),
		"whole seconds, or the status would differ from the stored one on every reconcile")
	assert.True(t, entry.Deadline.Time.Equal(o.Now.Add(time.Minute)))

	o.Fleet.Gateways = nil
	entry = Compute(o).Drain[0]
	assert.Equal(t, "the pod is being deleted", entry.Reason)
	assert.True(t, entry.StartedAt.Time.Equal(o.Now))
}

func TestDrainStatusesKeepThoseWithMostConnections(t *testing.T) {
	changes := make([]change, 0, 20)
	for i := range 20 {
		changes = append(changes, drainingPod(i))
	}
	list := Compute(settled(changes...)).Drain
	require.Len(t, list, v1alpha1.MaxDrainEntries)
	for _, entry := range list {
		assert.GreaterOrEqual(t, entry.Connections, int64(4))
	}
}

func TestUpdatedReplicasWaitForDeployment(t *testing.T) {
	assert.Equal(t, int32(2), Compute(settled()).UpdatedReplicas)
	assert.Zero(t, Compute(settled(func(o *Observation) { o.Gateways.Generation = 2 })).UpdatedReplicas)
	assert.Zero(t, Compute(settled(func(o *Observation) { o.Gateways = nil })).UpdatedReplicas)
}

func TestEffectiveRedis(t *testing.T) {
	assert.Equal(t, "Managed", Compute(settled()).Effective.Redis)
	assert.Equal(t, "Standalone", Compute(settled(externalRedis)).Effective.Redis)
	noRedis := spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Redis = &v1alpha1.RedisSpec{} })
	assert.Equal(t, "None", Compute(settled(noRedis)).Effective.Redis)
}
