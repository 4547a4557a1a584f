package controllers

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// What is held back when something is wrong: gateways must never start with somebody else's
// configuration, and all the rest goes on.
func TestHolds(t *testing.T) {
	objects := everyObject(t)
	held := func(result *outcome) []string {
		var names []string
		for _, object := range objects {
			if result.holds(object) {
				names = append(names, object.String())
			}
		}
		return names
	}
	gateways := []string{"ConfigMap demo-gateway", "Deployment demo-gateway"}
	blocked := func(kind, name string) *outcome {
		result := newOutcome(nil)
		parts := partsOfGateways(objects)
		for _, object := range objects {
			if object.Kind.Kind == kind && object.Name == name {
				result.blocked[object.Ref] = true
				result.problems = append(result.problems, foreignObject(object.Ref, &appsv1.Deployment{}, &v1alpha1.WebSocketCluster{}, parts[object.Ref]))
			}
		}
		assert.Len(t, result.problems, 1)
		return result
	}

	assert.Empty(t, held(newOutcome(nil)))
	assert.Equal(t, gateways, held(newOutcome([]status.Problem{{BlocksGateways: true}})), "a Secret is missing")
	assert.Equal(t, gateways, held(blocked("Secret", "demo-admin")))
	assert.Equal(t, gateways, held(blocked("ConfigMap", "demo-gateway")))
	assert.Equal(t, gateways, held(blocked("Service", "demo-redis")))
	assert.Equal(t, append([]string{"Deployment demo-redis"}, gateways...), held(blocked("Secret", "demo-redis")))
	assert.Equal(t, append([]string{"Deployment demo-redis"}, gateways...), held(blocked("ServiceAccount", "demo-gateway")))
	assert.Equal(t, []string{"Ingress demo-gateway"}, held(blocked("Service", "demo-gateway")))
	assert.Empty(t, held(blocked("PodDisruptionBudget", "demo-gateway")))
}

// A paused cluster's user must still learn what will be in the way.
func TestLookKeepsProblemsAndWritesNothing(t *testing.T) {
	var reads int
	server := counting(&reads)
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo", UID: "1"}}
	problems := []status.Problem{{Reason: v1alpha1.ReasonSecretNotFound}}

	result, err := (&writer{client: server, live: server}).look(t.Context(), cluster, everyObject(t), problems)
	require.NoError(t, err)
	assert.Equal(t, problems, result.problems)
	assert.Empty(t, result.found)

	var deployments appsv1.DeploymentList
	require.NoError(t, server.List(t.Context(), &deployments))
	assert.Empty(t, deployments.Items)
}

func TestForeignObjectSaysWhatAndHow(t *testing.T) {
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo", UID: "2"}}
	found := &appsv1.Deployment{}
	problem := foreignObject(render.ServiceRef("demo-gateway"), found, cluster, false)
	assert.Contains(t, problem.Message, "Service demo-gateway")
	assert.Contains(t, problem.Message, "metadata.name")

	// Whoever deletes a cluster and makes it again must not be told to take part in it.
	found.OwnerReferences = []metav1.OwnerReference{{Kind: v1alpha1.KindWebSocketCluster, Name: "demo", UID: "1", Controller: new(true)}}
	problem = foreignObject(render.ServiceRef("demo-gateway"), found, cluster, false)
	assert.Contains(t, problem.Message, "Service demo-gateway of an earlier WebSocketCluster")
	assert.Contains(t, problem.Message, "wait")
}

// What the API server will never take is for the user to solve; a namespace that goes is not. What
// it cannot take now is told and tried again.
func TestRefusals(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "x", errors.New("it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		answer  error
		problem bool
		retry   bool
	}{
		"forbidden":             {apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("quota")), true, false},
		"too large":             {apierrors.NewRequestEntityTooLargeError("3 MiB"), true, false},
		"unreachable":           {apierrors.NewInternalError(errors.New("etcd")), true, true},
		"terminating namespace": {terminating, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
				Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
					return c.answer
				},
			}).Build()
			cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo", UID: "1"}}
			result := newOutcome(nil)
			problem, err := (&writer{client: server, live: server}).apply(t.Context(), cluster, everyObject(t)[0], nil, result)
			require.NoError(t, err, "the other objects are to be written all the same")
			assert.Equal(t, c.problem, problem != nil)
			assert.Equal(t, c.retry, result.retry != nil)
		})
	}
}
