package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// otherManager is another field owner, such as a user with kubectl or another controller.
const otherManager = client.FieldOwner("otherManager")

// drift is an edit of an object that the operator reverts.
type drift struct {
	child child
	patch string
	// where is the path of the edit, and want the value that the operator restores there.
	where, want string
}

func drifts() []drift {
	return []drift{
		{gatewayDeployment, `{"spec":{"replicas":7}}`, ".spec.replicas", "3"},
		{gatewayDeployment, `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}`,
			pod + ".terminationGracePeriodSeconds", "325"},
		{gatewayDeployment, `{"spec":{"template":{"spec":{"securityContext":{"runAsNonRoot":null}}}}}`,
			pod + ".securityContext.runAsNonRoot", "true"},
		{gatewayService, `{"spec":{"sessionAffinity":"None","sessionAffinityConfig":null}}`, ".spec.sessionAffinity",
			"ClientIP"},
		{gatewayService, `{"spec":{"selector":{"app.kubernetes.io/component":"other"}}}`,
			`.spec.selector.app\.kubernetes\.io/component`, "gateway"},
		{gatewayDeployment, `{"spec":{"template":{"metadata":{"annotations":{"wsfleet.dev/config":"max-connections: 1"}}}}}`,
			setting + "max-connections", "10000"},
		{gatewayDeployment, `{"spec":{"template":{"metadata":{"annotations":null}}}}`, setting + "max-connections", "10000"},
		{gatewayAccount, `{"automountServiceAccountToken":true}`, ".automountServiceAccountToken", "false"},
		{gatewayIngress, `{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/affinity":null}}}`, nginx + "affinity",
			"cookie"},
		{gatewayAutoscaler, `{"spec":{"maxReplicas":50}}`, ".spec.maxReplicas", "5"},
		{gatewayBudget, `{"spec":{"maxUnavailable":"100%"}}`, ".spec.maxUnavailable", "1"},
		{redisDeployment, `{"spec":{"replicas":0}}`, ".spec.replicas", "1"},
		{redisService, `{"metadata":{"labels":{"wsfleet.dev/cluster":null}}}`, `.metadata.labels.wsfleet\.dev/cluster`,
			"fleet"},
	}
}

func TestReconcilerRepairsDrift(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	for _, d := range drifts() {
		t.Run(d.child.String()+" "+d.where, func(t *testing.T) {
			f := f.in(t)
			require.Equal(t, d.want, read(t, d.child.get(t, f), d.where))
			before := d.child.get(t, f)
			require.NoError(t,
				env.client.Patch(t.Context(), before, client.RawPatch(types.MergePatchType, []byte(d.patch)), otherManager))
			f.eventually(func(t *assert.CollectT) {
				after := d.child.get(t, f)
				assert.Equal(t, d.want, read(t, after, d.where))
				assert.NotEqual(t, before.GetResourceVersion(), after.GetResourceVersion())
			})
		})
	}
}

// kubectl scale and a user's own autoscaler write through the scale subresource of the Deployment.
func TestReconcilerRepairsAScaledDeployment(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: gatewayDeployment.name(f.name)},
	}
	before := gatewayDeployment.get(t, f).GetResourceVersion()
	scale := &autoscalingv1.Scale{ObjectMeta: deployment.ObjectMeta, Spec: autoscalingv1.ScaleSpec{Replicas: 9}}
	require.NoError(t, env.client.SubResource("scale").Update(t.Context(), deployment, client.WithSubResourceBody(scale)))
	f.eventually(func(t *assert.CollectT) {
		after := gatewayDeployment.get(t, f)
		assert.Equal(t, "2", read(t, after, ".spec.replicas"))
		assert.NotEqual(t, before, after.GetResourceVersion())
	})
}

// An object that has lost its owner reference would outlive the cluster.
func TestReconcilerRepairsALostOwner(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`))
	require.NoError(t, env.client.Patch(t.Context(), gatewayService.get(t, f), patch, otherManager))
	f.eventually(func(t *assert.CollectT) { assert.NotEmpty(t, gatewayService.get(t, f).GetOwnerReferences()) })
}

// Without the password Redis and the gateways no longer agree, and without the token no request is authorized. Both are
// generated again.
func TestReconcilerRepairsSecrets(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	for c, key := range map[child]string{adminSecret: "token", redisSecret: "password"} {
		t.Run(c.String(), func(t *testing.T) {
			f := f.in(t)
			require.NoError(t,
				env.client.Patch(t.Context(), c.get(t, f),
					client.RawPatch(types.MergePatchType, []byte(`{"data":{"`+key+`":null}}`)), otherManager))
			f.eventually(func(t *assert.CollectT) { assert.NotEmpty(t, read(t, c.get(t, f), ".data."+key)) })
		})
	}
}

// Generated values are kept: new ones would cut every gateway off.
func TestReconcilerKeepsGeneratedSecrets(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	token, password := read(t, adminSecret.get(t, f), ".data.token"), read(t, redisSecret.get(t, f), ".data.password")
	f.setSpec("{replicas: 4}")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "4", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
	})
	require.Equal(t, token, read(t, adminSecret.get(t, f), ".data.token"))
	require.Equal(t, password, read(t, redisSecret.get(t, f), ".data.password"))
}

func TestReconcilerRecreatesDeletedObjects(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	for _, c := range allChildren() {
		t.Run(c.String(), func(t *testing.T) {
			f := f.in(t)
			before := c.get(t, f)
			require.NoError(t, env.client.Delete(t.Context(), before))
			f.eventually(func(t *assert.CollectT) { assert.NotEqual(t, before.GetUID(), c.get(t, f).GetUID()) })
		})
	}
}

// Fields that other clients add are theirs.
func TestReconcilerLeavesForeignFieldsAlone(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	for _, c := range allChildren() {
		patch := []byte(`{"metadata":{"annotations":{"example.com/note":"mine"},"labels":{"example.com/team":"mine"}}}`)
		require.NoError(t,
			env.client.Patch(t.Context(), c.get(t, f), client.RawPatch(types.MergePatchType, patch), otherManager))
	}
	// A change that writes all objects again must not remove them either.
	f.setSpec("{replicas: 4, drain: {timeout: 1m}, redis: {managed: {resources: {limits: {memory: 64Mi}}}}, " +
		"autoscaling: {maxReplicas: 6}, ingress: {profile: nginx, path: /live}, " +
		"service: {clientIPTimeoutSeconds: 5}, disruption: {maxUnavailable: 2}}")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "6", read(t, gatewayAutoscaler.get(t, f), ".spec.maxReplicas"))
		assert.Equal(t, "/live", read(t, gatewayIngress.get(t, f), ".spec.rules[0].http.paths[0].path"))
		assert.Equal(t, "85", read(t, gatewayDeployment.get(t, f), ".spec.template.spec.terminationGracePeriodSeconds"))
	})
	f.eventuallySettled()
	for _, c := range allChildren() {
		object := c.get(t, f)
		assert.Equal(t, "mine", object.GetAnnotations()["example.com/note"], "%s", c)
		assert.Equal(t, "mine", object.GetLabels()["example.com/team"], "%s", c)
	}
}

// The operator counts its writes and repairs, its phases and the fleets by their conditions.
func TestReconcilerCountsInItsMetrics(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":7}}`))
	require.NoError(t, env.client.Patch(t.Context(), gatewayDeployment.get(t, f), patch, otherManager))
	f.setSpec("replicas: 1")
	f.eventually(func(t *assert.CollectT) {
		assert.InDelta(t, 2, o.metric(t, "applied_objects_total", "Deployment", "created"), 0)
		assert.Positive(t, o.metric(t, "applied_objects_total", "Deployment", "repaired")+
			o.metric(t, "applied_objects_total", "Deployment", "updated"))
		assert.InDelta(t, 1, o.metric(t, "applied_objects_total", "PodDisruptionBudget", "deleted"), 0)
		assert.InDelta(t, 1, o.metric(t, "fleets", "SpecAccepted", "True"), 0)
		for _, phase := range []string{"observe", "render", "apply", "status"} {
			assert.Positive(t, o.metric(t, "reconcile_phase_duration_seconds", phase), phase)
		}
	})
}
