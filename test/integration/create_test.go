package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// An empty spec makes a working fleet of two gateways and one Redis, and no optional object.
func TestReconcilerCreatesAFleetFromAnEmptySpec(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	f.eventuallyHas(gatewayDeployment, gatewayService, gatewayAccount, gatewayBudget, adminSecret,
		redisDeployment, redisService, redisSecret)
	f.eventuallyLacks(gatewayIngress, gatewayAutoscaler)
	require.Equal(t, "2", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
}

// The golden files of package render have the objects in full. Here the API server accepts them.
func TestReconcilerCreatesEveryObject(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", everything)
	f.eventuallyHas(allChildren()...)

	for _, want := range []struct {
		child       child
		where, want string
	}{
		{gatewayDeployment, ".spec.replicas", "3"},
		{gatewayDeployment, pod + ".securityContext.runAsNonRoot", "true"},
		{gatewayDeployment, pod + ".automountServiceAccountToken", "false"},
		{gatewayDeployment, container + ".securityContext.readOnlyRootFilesystem", "true"},
		{gatewayDeployment, container + ".securityContext.allowPrivilegeEscalation", "false"},
		{gatewayDeployment, container + ".securityContext.capabilities.drop[0]", "ALL"},
		{gatewayDeployment, container + ".lifecycle.preStop.exec.command[*]", contract.Binary + " drain"},
		{gatewayDeployment, pod + ".terminationGracePeriodSeconds", "325"},
		{gatewayDeployment, ".spec.strategy.rollingUpdate.maxSurge", "1"},
		{gatewayDeployment, ".spec.strategy.rollingUpdate.maxUnavailable", "0"},
		{gatewayService, ".spec.sessionAffinity", "ClientIP"},
		{gatewayService, ".spec.ports[0].appProtocol", "kubernetes.io/ws"},
		{gatewayIngress, nginx + "affinity", "cookie"},
		{gatewayAutoscaler, ".spec.scaleTargetRef.kind", "WebSocketCluster"},
		{gatewayAutoscaler, ".spec.scaleTargetRef.name", "fleet"},
		{gatewayAutoscaler, ".spec.metrics[0].object.metric.name", contract.MetricConnections},
		{gatewayBudget, ".spec.maxUnavailable", "1"},
		{gatewayBudget, ".spec.unhealthyPodEvictionPolicy", "AlwaysAllow"},
		{redisDeployment, ".spec.strategy.type", "Recreate"},
		{redisDeployment, ".spec.replicas", "1"},
	} {
		assert.Equal(t, want.want, read(t, want.child.get(t, f), want.where), "%s %s", want.child, want.where)
	}
	assert.NotEmpty(t, read(t, adminSecret.get(t, f), ".data."+contract.AdminTokenKey))
	assert.NotEmpty(t, read(t, redisSecret.get(t, f), ".data.password"))
}

// There is no garbage collector here. It would go by these references.
func TestReconcilerSetsOwnerReferences(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", everything)
	f.eventuallyHas(allChildren()...)
	for _, c := range allChildren() {
		assert.Equal(t, []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(),
			Kind:       v1alpha1.KindWebSocketCluster,
			Name:       "fleet",
			UID:        f.get(t).UID,
			Controller: new(true),
			// Redis goes after the gateways.
			BlockOwnerDeletion: new(c.suffix != redisDeployment.suffix),
		}}, c.get(t, f).GetOwnerReferences(), "%s", c)
	}
	requireNoOtherObjects(t, f)
}

// requireNoOtherObjects asserts that the operator has made no object that is missing in allChildren.
func requireNoOtherObjects(t *testing.T, f *fleet) {
	t.Helper()
	known := childNames(allChildren())
	seen := map[string]bool{}
	for _, c := range allChildren() {
		if seen[c.kind.Kind] {
			continue
		}
		seen[c.kind.Kind] = true
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(c.kind)
		require.NoError(t, env.client.List(t.Context(), list, client.InNamespace(f.namespace)))
		for _, object := range list.Items {
			if metav1.GetControllerOf(&object) == nil {
				continue
			}
			suffix := object.GetName()[len(f.name)+1:]
			assert.Contains(t, known, child{c.kind, suffix}.String(), "a child without tests")
		}
	}
}

// When the cluster is deleted, the operator leaves its objects to the garbage collector and does not create them
// again.
func TestReconcilerLeavesADeletedClusterAlone(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	other := createFleet(t, o.namespace, "other", "{}")
	other.eventuallySettled()

	require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
	// The same watch delivers both, in this order. An operator that does not know yet that the cluster is deleted would
	// rightly create the budget again.
	other.setSpec("replicas: 3")
	other.eventuallySettled()
	require.NoError(t, env.client.Delete(t.Context(), gatewayBudget.get(t, f)))
	// The repair of the other fleet shows that the operator has reconciled since.
	require.NoError(t, env.client.Delete(t.Context(), gatewayBudget.get(t, other)))
	other.eventuallyHas(gatewayBudget)
	o.awaitQuiet()
	f.eventuallyLacks(gatewayBudget)
}
