package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

func newTestDetector(t *testing.T) *driftDetector {
	t.Helper()
	types, err := newFieldTypes(clientgoscheme.Scheme)
	require.NoError(t, err)
	return newDriftDetector(types)
}

func desiredDeployment(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	for _, object := range everyObject(t) {
		if object.Ref == render.DeploymentRef("demo-gateway") {
			return object.Desired
		}
	}
	require.FailNow(t, "there is no Deployment")
	return nil
}

func everyObject(t *testing.T) []render.Object {
	t.Helper()
	in := render.Input{
		Name:      "demo",
		Namespace: "team",
		UID:       "1",
		Profile:   v1alpha1.IngressProfileNginx,
		Spec: v1alpha1.WebSocketClusterSpec{
			Autoscaling: &v1alpha1.AutoscalingSpec{MaxReplicas: 4},
			Ingress:     &v1alpha1.IngressSpec{Hosts: []string{"a.example.com"}},
			GatewayAPI:  &v1alpha1.GatewayAPISpec{ParentRefs: []v1alpha1.GatewayReference{{Name: "a"}}},
			Monitoring:  v1alpha1.MonitoringSpec{Dashboards: true},
			Redis: &v1alpha1.RedisSpec{
				Managed: &v1alpha1.ManagedRedis{Storage: &v1alpha1.RedisStorage{}},
			},
		},
		Images: render.Images{Gateway: "g", Redis: "r"},
	}
	in.Spec.SetDefaults()
	in.Spec.Replicas = new(int32(v1alpha1.DefaultReplicas))
	objects, err := render.Objects(in)
	require.NoError(t, err)
	return objects
}

// applied returns the metadata that the API server keeps after the operator's apply. Another client has taken over the
// fields in lost.
func applied(t *testing.T, desired *unstructured.Unstructured, lost ...fieldpath.Path) *appsv1.Deployment {
	t.Helper()
	fields, err := newTestDetector(t).fieldsOf(desired)
	require.NoError(t, err)
	raw, err := fields.Difference(fieldpath.NewSet(lost...)).ToJSON()
	require.NoError(t, err)
	entry := metav1.ManagedFieldsEntry{
		Manager:    render.FieldOwner,
		Operation:  metav1.ManagedFieldsOperationApply,
		FieldsType: "FieldsV1",
		FieldsV1:   &metav1.FieldsV1{},
	}
	entry.FieldsV1.SetRawBytes(raw)
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Annotations:   desired.GetAnnotations(),
		ManagedFields: []metav1.ManagedFieldsEntry{entry},
	}}
}

func TestDriftDetectorCompares(t *testing.T) {
	desired := desiredDeployment(t)
	gateway := fieldpath.KeyByFields("name", "gateway")
	image := fieldpath.MakePathOrDie("spec", "template", "spec", "containers", gateway, "image")
	replicas := fieldpath.MakePathOrDie("spec", "replicas")
	minReady := fieldpath.MakePathOrDie("spec", "minReadySeconds")
	as := func(edit func(*appsv1.Deployment)) *appsv1.Deployment {
		live := applied(t, desired)
		edit(live)
		return live
	}
	// taken has lost two fields, and the manager owns the second one.
	taken := func(manager, subresource string, gone, taken fieldpath.Path) *appsv1.Deployment {
		live := applied(t, desired, gone, taken)
		raw, err := fieldpath.NewSet(taken).ToJSON()
		require.NoError(t, err)
		entry := metav1.ManagedFieldsEntry{
			Manager:     manager,
			Operation:   metav1.ManagedFieldsOperationUpdate,
			Subresource: subresource,
			FieldsType:  "FieldsV1",
			FieldsV1:    &metav1.FieldsV1{},
		}
		entry.FieldsV1.SetRawBytes(raw)
		live.ManagedFields = append(live.ManagedFields, entry)
		return live
	}

	for _, c := range []struct {
		name   string
		live   *appsv1.Deployment
		want   outcome
		reason string
	}{
		{"as applied", applied(t, desired), "", ""},
		{"another hash", as(func(live *appsv1.Deployment) {
			live.Annotations = map[string]string{render.AnnotationApplied: "old"}
		}), outcomeUpdated, "desired state"},
		{
			"a field taken over", applied(t, desired, image), outcomeRepaired,
			`another client changed .spec.template.spec.containers[name="gateway"].image`,
		},
		{
			"many fields taken over", applied(t, desired, image, replicas, minReady), outcomeRepaired,
			"another client changed",
		},
		{"ownership wiped", as(func(live *appsv1.Deployment) {
			live.ManagedFields = nil
		}), outcomeRepaired, "another client changed"},
		{"only another owner", as(func(live *appsv1.Deployment) {
			live.ManagedFields[0].Manager = "kubectl"
		}), outcomeRepaired, "kubectl changed"},
		{"a field that a subresource took over", taken("kube-controller-manager", "scale", image, replicas), outcomeRepaired,
			"kube-controller-manager (subresource scale) changed .spec.replicas"},
		{"only an update under our name", as(func(live *appsv1.Deployment) {
			live.ManagedFields[0].Operation = metav1.ManagedFieldsOperationUpdate
		}), outcomeRepaired, "another client changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			difference, err := newTestDetector(t).compare(desired, c.live)
			require.NoError(t, err)
			assert.Equal(t, c.want, difference.outcome)
			if c.reason == "" {
				assert.Empty(t, difference.reason)
			} else {
				assert.Contains(t, difference.reason, c.reason)
			}
		})
	}
}

func TestDriftDetectorCreatesWhatDoesNotExist(t *testing.T) {
	difference, err := newTestDetector(t).compare(desiredDeployment(t), nil)
	require.NoError(t, err)
	assert.Equal(t, change{outcome: outcomeCreated}, difference)
}

func TestDriftDetectorReturnsUnreadableManagedFields(t *testing.T) {
	desired := desiredDeployment(t)
	live := applied(t, desired)
	live.ManagedFields[0].FieldsV1.SetRawBytes([]byte("{"))
	_, err := newTestDetector(t).compare(desired, live)
	require.ErrorContains(t, err, "managed fields")
}

// A kind whose fields cannot be understood would never be repaired. TestFirstUnowned has the optional kinds.
func TestDriftDetectorUnderstandsEveryKind(t *testing.T) {
	for _, object := range everyObject(t) {
		if render.IsOptional(object.Kind) {
			continue
		}
		require.NotNil(t, object.Desired, object)
		fields, err := newTestDetector(t).fieldsOf(object.Desired)
		require.NoError(t, err, object)
		assert.False(t, fields.Empty(), object)
	}
}
