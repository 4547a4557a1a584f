package integration

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

const (
	// waitTimeout bounds every wait. Only a failing test waits that long.
	waitTimeout = 30 * time.Second
	// pollInterval is the time between two checks of a wait.
	pollInterval = 25 * time.Millisecond
)

// fleet is one WebSocketCluster under test.
type fleet struct {
	t               *testing.T
	namespace, name string
}

func createFleet(t *testing.T, namespace, name, spec string) *fleet {
	t.Helper()
	require.NoError(t, env.client.Create(t.Context(), manifest(t, namespace, name, spec)))
	return &fleet{t: t, namespace: namespace, name: name}
}

// createFull creates a fleet with every object and waits until its status is up to date.
func createFull(t *testing.T, o *operator) *fleet {
	t.Helper()
	f := createFleet(t, o.namespace, "fleet", everything)
	f.eventuallyHas(allChildren()...)
	f.eventuallySettled()
	return f
}

// in returns the same fleet for a subtest.
func (f *fleet) in(t *testing.T) *fleet { return &fleet{t: t, namespace: f.namespace, name: f.name} }

func (f *fleet) key() types.NamespacedName {
	return types.NamespacedName{Namespace: f.namespace, Name: f.name}
}

func (f *fleet) get(t require.TestingT) *v1alpha1.WebSocketCluster {
	cluster := &v1alpha1.WebSocketCluster{}
	require.NoError(t, env.client.Get(f.t.Context(), f.key(), cluster))
	return cluster
}

// setSpec replaces the whole spec.
func (f *fleet) setSpec(spec string) {
	f.t.Helper()
	require.NoError(f.t, f.trySpec(spec))
}

// trySpec replaces the whole spec and returns the API server's error.
func (f *fleet) trySpec(spec string) error {
	f.t.Helper()
	var body any
	require.NoError(f.t, yaml.Unmarshal([]byte(spec), &body))
	patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec", "value": body}})
	require.NoError(f.t, err)
	return env.client.Patch(f.t.Context(), f.get(f.t), client.RawPatch(types.JSONPatchType, patch))
}

// touch triggers a reconcile of the fleet: every object changes in a field that is not the operator's.
func (f *fleet) touch(value string) {
	f.t.Helper()
	patch := []byte(`{"metadata":{"annotations":{"example.com/touched":"` + value + `"}}}`)
	for _, c := range allChildren() {
		err := env.client.Patch(f.t.Context(), c.empty(f.namespace, f.name), client.RawPatch(types.MergePatchType, patch),
			otherManager)
		require.NoError(f.t, client.IgnoreNotFound(err))
	}
}

// eventually waits until asserted holds.
func (f *fleet) eventually(asserted func(t *assert.CollectT)) {
	f.t.Helper()
	require.EventuallyWithT(f.t, asserted, waitTimeout, pollInterval)
}

// eventuallyHas waits until the objects exist.
func (f *fleet) eventuallyHas(children ...child) {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		for _, c := range children {
			c.get(t, f)
		}
	})
}

// eventuallyLacks waits until the objects do not exist.
func (f *fleet) eventuallyLacks(children ...child) {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		for _, c := range children {
			object := c.empty(f.namespace, f.name)
			err := env.client.Get(f.t.Context(), client.ObjectKeyFromObject(object), object)
			assert.True(t, apierrors.IsNotFound(err), "%s is still there (%v)", c, err)
		}
	})
}

// existing returns the objects of the fleet that exist: by kind and name, the UID and the hash of what was applied.
func (f *fleet) existing() map[string]string {
	found := map[string]string{}
	for _, c := range allChildren() {
		object := c.empty(f.namespace, f.name)
		if env.client.Get(f.t.Context(), client.ObjectKeyFromObject(object), object) == nil {
			found[c.String()] = string(object.GetUID()) + " " + object.GetAnnotations()[render.AnnotationApplied]
		}
	}
	return found
}

// requireCondition asserts the status and reason of a condition of the newest spec, and words of its message.
func (f *fleet) requireCondition(t require.TestingT, kind string, status metav1.ConditionStatus, reason string,
	words ...string) {
	cluster := f.get(t)
	condition := meta.FindStatusCondition(cluster.Status.Conditions, kind)
	require.NotNil(t, condition, "no condition %s", kind)
	assert.Equal(t, status, condition.Status, "%s: %s: %s", kind, condition.Reason, condition.Message)
	assert.Equal(t, reason, condition.Reason, "%s: %s", kind, condition.Message)
	assert.Equal(t, cluster.Generation, condition.ObservedGeneration, "%s is that of an old spec", kind)
	for _, word := range words {
		assert.Contains(t, condition.Message, word, kind)
	}
}

// eventuallyCondition waits until requireCondition holds.
func (f *fleet) eventuallyCondition(kind string, status metav1.ConditionStatus, reason string, words ...string) {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) { f.requireCondition(t, kind, status, reason, words...) })
}

// eventuallySettled waits until the status is that of the newest spec.
func (f *fleet) eventuallySettled() {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		cluster := f.get(t)
		assert.Equal(t, cluster.Generation, cluster.Status.ObservedGeneration)
		assert.Len(t, cluster.Status.Conditions, len(v1alpha1.ConditionTypes()))
	})
}

func createSecret(t *testing.T, namespace, name string, data map[string]string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data}
	require.NoError(t, env.client.Create(t.Context(), secret))
	return secret
}
