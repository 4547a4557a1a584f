package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The gateways' reports become the status and its conditions.
func TestStatusOfAServingFleet(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoneServing)

	gateways := startFakeGateways(t, f, 2)
	gateways[0].report(func(r *report) { r.Connections = 30 })
	gateways[1].report(func(r *report) { r.Connections, r.MaxConnections = 12, 5000 })
	setDeploymentStatus(t, f, gatewayDeployment, 2, 2)
	setDeploymentStatus(t, f, redisDeployment, 1, 1)

	f.eventually(func(t *assert.CollectT) {
		status := f.get(t).Status
		assert.EqualValues(t, 42, status.Connections)
		assert.EqualValues(t, 15_000, status.Capacity)
		assert.Equal(t, "2/2", status.Ready)
		assert.EqualValues(t, 2, status.Replicas)
		assert.EqualValues(t, 2, status.ReadyReplicas)
		assert.EqualValues(t, 2, status.UpdatedReplicas)
		assert.Zero(t, status.DrainingReplicas)
		assert.Empty(t, status.Drain)
		assert.Equal(t,
			v1alpha1.EffectiveStatus{Image: "example.com/gateway:test", Redis: "Managed", TerminationGracePeriodSeconds: 325},
			status.Effective)
		assert.Equal(t, []string{"ws://fleet-gateway." + f.namespace + ".svc/ws"}, status.URLs)
	})
	f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonEnoughServing)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonSettled)
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionFalse, v1alpha1.ReasonNoneDraining)
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonNotNeeded)
	f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonServiceReady)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	require.EqualValues(t, 2, readScale(t, f.get(t)).Status.Replicas)

	// A gateway that is not ready does not serve, and surge does not count as the fleet's size.
	gateways[1].setReady(t, false)
	f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonTooFewServing)
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "1/2", f.get(t).Status.Ready) })
	gateways[1].setReady(t, true)
	f.setSpec("{replicas: 1}")
	f.eventually(func(t *assert.CollectT) {
		status := f.get(t).Status
		assert.EqualValues(t, 1, status.Replicas)
		assert.EqualValues(t, 2, status.ReadyReplicas)
	})
}

func TestStatusOfAFleetScaledToZero(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "replicas: 0")
	f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonScaledToZero, "spec.replicas")
}

// The monitor scrapes with the token of the fleet's own Secret.
func TestMonitorScrapesWithTheToken(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	g := startFakeGateways(t, f, 1)[0]
	g.awaitScrapes(2)
	_, refused := g.seen()
	require.Zero(t, refused)
}

// Draining gateways are listed and do not count as serving. A gateway drains when its pod is being deleted, or when it
// reports so.
func TestStatusOfDrainingGateways(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "replicas: 3")
	gateways := startFakeGateways(t, f, 3)
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "3/3", f.get(t).Status.Ready) })

	started := time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC)
	gateways[0].report(func(r *report) {
		r.State, r.Connections = contract.StateDraining, 17
		r.Drain = &contract.DrainReport{Reason: "by hand", StartedAt: started, Deadline: started.Add(5 * time.Minute)}
	})
	gateways[1].report(func(r *report) { r.Connections = 4 })
	require.NoError(t, env.client.Delete(t.Context(), gateways[1].pod))

	f.eventually(func(t *assert.CollectT) {
		status := f.get(t).Status
		assert.EqualValues(t, 2, status.DrainingReplicas)
		assert.EqualValues(t, 1, status.Replicas)
		assert.EqualValues(t, 21, status.Connections)
		assert.EqualValues(t, 10_000, status.Capacity)
		if assert.Len(t, status.Drain, 2) {
			asked, deleted := status.Drain[0], status.Drain[1]
			assert.Equal(t, gateways[0].pod.Name, asked.Pod)
			assert.EqualValues(t, 17, asked.Connections)
			assert.Equal(t, "by hand", asked.Reason)
			assert.True(t, asked.StartedAt.Time.Equal(started.Truncate(time.Second)))
			assert.True(t, asked.Deadline.Time.Equal(started.Truncate(time.Second).Add(5*time.Minute)))
			assert.Equal(t, gateways[1].pod.Name, deleted.Pod)
			assert.EqualValues(t, 4, deleted.Connections)
			assert.NotNil(t, deleted.Deadline)
		}
	})
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionTrue, v1alpha1.ReasonHandingOver)

	gateways[0].remove(t)
	gateways[1].remove(t)
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionFalse, v1alpha1.ReasonNoneDraining)
	f.eventually(func(t *assert.CollectT) { assert.Empty(t, f.get(t).Status.Drain) })
}

// The status lists at most MaxDrainEntries draining gateways. The API server would refuse a longer list.
func TestStatusOfManyDrainingGateways(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "replicas: 20")
	for i, g := range startFakeGateways(t, f, v1alpha1.MaxDrainEntries+2) {
		g.report(func(r *report) { r.State, r.Connections = contract.StateDraining, i })
	}
	f.eventually(func(t *assert.CollectT) {
		status := f.get(t).Status
		assert.EqualValues(t, v1alpha1.MaxDrainEntries+2, status.DrainingReplicas)
		if assert.Len(t, status.Drain, v1alpha1.MaxDrainEntries) {
			for _, entry := range status.Drain {
				assert.GreaterOrEqual(t, entry.Connections, int64(2), "those with the most clients are listed")
			}
		}
	})
}

// The status shows a lost Redis at once, and names the field to check.
func TestStatusShowsALostBackplane(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "redis: {external: {addresses: ['r:6379']}}")
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionUnknown, v1alpha1.ReasonNoReports)
	gateways := startFakeGateways(t, f, 2)
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)

	gateways[1].report(func(r *report) {
		r.Broker.State, r.Broker.Error = contract.BrokerDegraded, "dial tcp: lookup r: no such host"
	})
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, v1alpha1.ReasonUnreachable,
		"spec.redis.external.addresses", "1 of 2")

	gateways[1].report(func(r *report) { r.Broker.Reason = contract.BrokerCredentialsRefused })
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused,
		"spec.redis.external.credentialsSecretRef")

	gateways[1].report(func(r *report) { r.Broker.State, r.Broker.Error = contract.BrokerReady, "" })
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)
}

func TestStatusOfOneGatewayWithoutRedis(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{redis: {}, replicas: 1}")
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonInMemory)
}

func TestStatusWhileManagedRedisStarts(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	startFakeGateways(t, f, 2)
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, v1alpha1.ReasonRedisStarting)
	setDeploymentStatus(t, f, redisDeployment, 1, 1)
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)
}
