package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// applyAs applies fields of an object as `kubectl apply --server-side --field-manager=manager` does.
func applyAs(t *testing.T, f *fleet, c child, manager string, fields map[string]any,
	options ...client.ApplyOption) error {
	t.Helper()
	object := c.empty(f.namespace, f.name)
	for key, value := range fields {
		object.Object[key] = value
	}
	return env.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object),
		append(options, client.FieldOwner(manager))...)
}

func hasManager(object *unstructured.Unstructured, manager string) bool {
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == manager {
			return true
		}
	}
	return false
}

// The API server refuses a user's apply of one of the operator's fields, and names the operator. The object stays as it
// was.
func TestOperatorsFieldsConflictWithAnotherApply(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	for _, c := range []struct {
		child  child
		fields map[string]any
	}{
		{gatewayDeployment, map[string]any{"spec": map[string]any{"replicas": 7}}},
		{gatewayService, map[string]any{"spec": map[string]any{"sessionAffinity": "None"}}},
		{gatewayAutoscaler, map[string]any{"spec": map[string]any{"maxReplicas": 50}}},
	} {
		t.Run(c.child.String(), func(t *testing.T) {
			f := f.in(t)
			before := c.child.get(t, f)
			err := applyAs(t, f, c.child, "kubectl", c.fields)
			require.True(t, apierrors.IsConflict(err), "%v", err)
			require.ErrorContains(t, err, `conflict with "`+render.FieldOwner+`"`)
			requireUntouched(t, f, c.child, before)
		})
	}
}

// With --force-conflicts a user has the field for a moment. The operator takes it back, and owns it alone.
func TestReconcilerTakesBackAForcedField(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	require.NoError(t, applyAs(t, f, gatewayDeployment, "kubectl", map[string]any{"spec": map[string]any{"replicas": 7}},
		client.ForceOwnership))
	f.eventually(func(t *assert.CollectT) {
		deployment := gatewayDeployment.get(t, f)
		assert.Equal(t, "3", read(t, deployment, ".spec.replicas"))
		assert.False(t, hasManager(deployment, "kubectl"), "the user still owns a field")
	})
	o.awaitQuiet()
}

// With the value that the operator wants, a user's apply owns the field too. The operator still changes it, and what
// the user added stays.
func TestReconcilerChangesASharedField(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	require.NoError(t, applyAs(t, f, gatewayDeployment, "kubectl", map[string]any{
		"metadata": map[string]any{
			"name": gatewayDeployment.name(f.name), "namespace": f.namespace,
			"annotations": map[string]any{"example.com/note": "mine"},
		},
		"spec": map[string]any{"replicas": 3},
	}))
	o.awaitQuiet()
	f.setSpec("replicas: 4")
	f.eventually(func(t *assert.CollectT) {
		deployment := gatewayDeployment.get(t, f)
		assert.Equal(t, "4", read(t, deployment, ".spec.replicas"))
		assert.Equal(t, "mine", deployment.GetAnnotations()["example.com/note"])
	})
}
