package controllers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

func fleetKey(name string) client.ObjectKey { return client.ObjectKey{Namespace: "team", Name: name} }

// A fleet that does nothing with its turn, because it is paused or cannot be reconciled, does not stop the others.
func TestUpgradesPassTheTurnOfASilentFleetOn(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	u := newUpgrades(1)
	u.now = func() time.Time { return now }
	mayRoll := func(name string) bool {
		may, _ := u.ask(fleetKey(name))
		return may
	}
	assert.True(t, mayRoll("silent"))
	assert.False(t, mayRoll("next"))
	now = now.Add(upgradeStart - time.Second)
	assert.False(t, mayRoll("next"))
	now = now.Add(time.Second)
	assert.True(t, mayRoll("next"))
	assert.False(t, mayRoll("silent"), "it waits again")

	u.end(fleetKey("next"), true)
	now = now.Add(time.Hour)
	assert.False(t, mayRoll("silent"), "the gateways of the other fleet drain for long")
	u.end(fleetKey("next"), false)
	assert.True(t, mayRoll("silent"))
}

// After a restart of the operator, fleets whose old gateways drain keep their turn. Deployments of other owners have
// none.
func TestUpgradesBeginWithTheRolloutsUnderWay(t *testing.T) {
	deployment := func(cluster, ownerKind string) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
			Namespace: "team",
			Name:      render.GatewayName(cluster),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1",
				Kind:       ownerKind,
				Name:       cluster,
				Controller: new(true),
			}},
		}}
	}
	draining := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace:         "team",
		Name:              "old",
		Labels:            render.SelectorLabels("drains", render.ComponentGateway),
		Finalizers:        []string{"example.com/f"},
		DeletionTimestamp: new(metav1.NewTime(time.Now().Add(time.Minute))),
	}}
	foreign := deployment("foreign", "Other")
	foreign.Generation = 2
	server := fake.NewClientBuilder().WithObjects(
		deployment("drains", v1alpha1.KindWebSocketCluster), deployment("settled", v1alpha1.KindWebSocketCluster),
		foreign, draining).Build()
	u := newUpgrades(1)
	require.NoError(t, u.seed(t.Context(), server))
	assert.Len(t, u.fleets, 1)
	assert.Contains(t, u.fleets, fleetKey("drains"))
}
