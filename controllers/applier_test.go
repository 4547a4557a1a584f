package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// What waits when an object is blocked: gateways must never start with a foreign configuration, and everything else is
// written.
func TestApplyResultMustWait(t *testing.T) {
	objects := everyObject(t)
	parts := gatewayParts(objects)
	waiting := func(result *applyResult) []string {
		var names []string
		for _, object := range objects {
			if result.mustWait(object) {
				names = append(names, object.String())
			}
		}
		return names
	}
	blocked := func(kind, name string) *applyResult {
		result := &applyResult{gatewayParts: parts}
		for _, object := range objects {
			if object.Kind.Kind == kind && object.Name == name {
				problem := foreignProblem(object.Ref, &appsv1.Deployment{}, &v1alpha1.WebSocketCluster{})
				result.add(objectResult{object: object, outcome: outcomeForeign, problem: problem})
			}
		}
		assert.Len(t, result.problems(), 1)
		return result
	}
	gateways := []string{"Deployment demo-gateway"}
	withRedis := append([]string{"Deployment demo-redis"}, gateways...)

	assert.Empty(t, waiting(&applyResult{}))
	missing := &applyResult{known: []status.Problem{{BlocksGateways: true}}}
	assert.Equal(t, gateways, waiting(missing), "a Secret is missing")
	assert.Equal(t, gateways, waiting(blocked("Secret", "demo-admin")))
	assert.Equal(t, gateways, waiting(blocked("Service", "demo-redis")))
	assert.Equal(t, withRedis, waiting(blocked("Secret", "demo-redis")))
	assert.Equal(t, withRedis, waiting(blocked("ServiceAccount", "demo-gateway")))
	assert.Equal(t, []string{"Ingress demo-gateway"}, waiting(blocked("Service", "demo-gateway")))
	assert.Empty(t, waiting(blocked("PodDisruptionBudget", "demo-gateway")))
}

func demoCluster() *v1alpha1.WebSocketCluster {
	return &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo", UID: "1"}}
}

// newTestApplier returns an applier whose API server is the fake one.
func newTestApplier(t *testing.T, server client.WithWatch) *applier {
	t.Helper()
	metrics, err := newOperatorMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	return &applier{
		client:      server,
		live:        server,
		secrets:     newSecretReader(server, server),
		newClusters: newNewClusters(),
		events:      newDedupRecorder(events.NewFakeRecorder(100)),
		contention:  newContention(),
		drift:       newTestDetector(t),
		metrics:     metrics,
	}
}

// The user of a paused cluster must still learn which problems there are.
func TestReconcilerKeepsProblemsOfAPausedCluster(t *testing.T) {
	var reads int
	server := newCountingClient(&reads)
	problems := []status.Problem{{Reason: v1alpha1.ReasonSecretNotFound}}
	applier := newTestApplier(t, server)
	reconciler := &Reconciler{applier: applier, metrics: applier.metrics, upgrades: newUpgrades(1)}
	cluster := demoCluster()
	cluster.Spec.Paused = true

	observed := observedState{problems: problems}
	result, err := reconciler.apply(t.Context(), cluster, everyObject(t), observed)
	require.NoError(t, err)
	assert.Equal(t, problems, result.problems())
	assert.Empty(t, result.owned)

	var deployments appsv1.DeploymentList
	require.NoError(t, server.List(t.Context(), &deployments))
	assert.Empty(t, deployments.Items)
}

func TestForeignProblemNamesTheObjectAndTheRemedy(t *testing.T) {
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo", UID: "2"}}
	found := &appsv1.Deployment{}
	problem := foreignProblem(render.ServiceRef("demo-gateway"), found, cluster)
	assert.Contains(t, problem.Message, "Service demo-gateway")
	assert.Contains(t, problem.Message, "metadata.name")

	// A user that deletes a cluster and creates it again must not be asked to remove anything.
	found.OwnerReferences = []metav1.OwnerReference{
		{
			Kind:       v1alpha1.KindWebSocketCluster,
			Name:       "demo",
			UID:        "1",
			Controller: new(true),
		},
	}
	problem = foreignProblem(render.ServiceRef("demo-gateway"), found, cluster)
	assert.Contains(t, problem.Message, "Service demo-gateway of an earlier WebSocketCluster")
	assert.Contains(t, problem.Message, "wait")
}

// What the API server will never take is for the user to solve, except in a namespace that is being deleted. What it
// cannot take now is reported and tried again.
func TestApplierTellsRefusalsFromFailures(t *testing.T) {
	forbidden := func(words string) *apierrors.StatusError {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "x", errors.New(words))
	}
	terminating := forbidden("it is being terminated")
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		answer error
		want   outcome
	}{
		"forbidden":             {forbidden("quota"), outcomeRefused},
		"too large":             {apierrors.NewRequestEntityTooLargeError("3 MiB"), outcomeRefused},
		"unreachable":           {apierrors.NewInternalError(errors.New("etcd")), outcomeFailed},
		"terminating namespace": {terminating, ""},
	} {
		t.Run(name, func(t *testing.T) {
			applier := newTestApplier(t, newAnsweringClient(c.answer))
			result, err := applier.applyObject(t.Context(), demoCluster(), everyObject(t)[0], nil)
			require.NoError(t, err, "the other objects are to be written all the same")
			assert.Equal(t, c.want, result.outcome)
			assert.Equal(t, c.want != "", result.problem != nil)
			assert.Equal(t, c.want == outcomeFailed, result.retry != nil)
		})
	}
}

// An object that was replaced after it was looked up is not for the user to solve: the next reconcile sees what it is.
func TestApplierStartsOverWhenAnObjectWasReplaced(t *testing.T) {
	uid := field.Invalid(field.NewPath("metadata", "uid"), "1", "field is immutable")
	for name, answer := range map[string]error{
		"another UID": apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "x", field.ErrorList{uid}),
		"conflict":    apierrors.NewConflict(schema.GroupResource{Resource: "services"}, "x", errors.New("exists")),
	} {
		t.Run(name, func(t *testing.T) {
			applier := newTestApplier(t, newAnsweringClient(answer))
			result, err := applier.apply(t.Context(), demoCluster(), everyObject(t), nil)
			require.ErrorIs(t, err, answer)
			assert.Nil(t, result)
		})
	}
}

// newAnsweringClient returns a fake API server that answers each apply with err.
func newAnsweringClient(err error) client.WithWatch {
	return fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(
			_ context.Context, _ client.WithWatch, _ client.Object, patch client.Patch, _ ...client.PatchOption,
		) error {
			if patch.Type() != types.ApplyPatchType {
				return fmt.Errorf("the applier sends a %s", patch.Type())
			}
			return err
		},
	}).Build()
}

// An object that exists is found when a cluster without a status is not new after all.
func TestApplierCreatesObjectsOfANewClusterWithoutLookingThemUp(t *testing.T) {
	var reads int
	server := newCountingClient(&reads)
	a := newTestApplier(t, server)
	a.live = server
	cluster := demoCluster()
	object := render.Object{
		Ref:     render.ServiceRef("x"),
		Desired: everyObject(t)[0].Desired,
	}
	a.client = uncountedReaderClient{server, &reads}
	found, err := a.find(t.Context(), cluster, object)
	require.NoError(t, err)
	assert.Nil(t, found)
	assert.Zero(t, reads)

	a.newClusters.exclude(cluster)
	found, err = a.find(t.Context(), cluster, object)
	require.NoError(t, err)
	assert.Nil(t, found)
	assert.Equal(t, 1, reads)
}

// uncountedReaderClient takes its own reads off the count of a counting client.
type uncountedReaderClient struct {
	client.WithWatch

	reads *int
}

func (u uncountedReaderClient) Get(
	ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption,
) error {
	*u.reads--
	return u.WithWatch.Get(ctx, key, object, options...)
}

func TestRecordWrittenJoinsObjectsThatWereCreatedTogether(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	a := &applier{events: newDedupRecorder(recorder)}
	result := func(name string, outcome outcome, reason string) objectResult {
		object := render.Object{Ref: render.ServiceRef(name)}
		return objectResult{object: object, outcome: outcome, change: change{reason: reason}}
	}
	a.recordWritten(demoCluster(), []objectResult{
		result("a", outcomeCreated, ""),
		result("b", outcomeUpdated, "its desired state has changed"),
		result("c", outcomeCreated, ""),
		result("d", "", ""),
	})
	assert.Equal(t, "Normal Updated Updated Service b: its desired state has changed", <-recorder.Events)
	assert.Equal(t, "Normal Created Created 2 objects: Service a, Service c", <-recorder.Events)
	a.recordWritten(demoCluster(), []objectResult{result("a", outcomeCreated, "")})
	assert.Equal(t, "Normal Created Created Service a", <-recorder.Events)
	assert.Empty(t, recorder.Events)
}
