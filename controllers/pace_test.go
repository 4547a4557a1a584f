package controllers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func clusterNamed(name string, generation int64) *v1alpha1.WebSocketCluster {
	return &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, Generation: generation}}
}

func TestStatusPaceDelaysTheNextStatusOfAGeneration(t *testing.T) {
	pace := newStatusPace(2 * time.Second)
	now := time.Now()
	pace.now = func() time.Time { return now }
	assert.Zero(t, pace.delay(clusterNamed("demo", 1)), "the first one")
	pace.wrote(clusterNamed("demo", 1))
	now = now.Add(500 * time.Millisecond)
	assert.Equal(t, 1500*time.Millisecond, pace.delay(clusterNamed("demo", 1)))
	assert.Zero(t, pace.delay(clusterNamed("demo", 2)), "the spec has changed")
	assert.Zero(t, pace.delay(clusterNamed("other", 1)))
	now = now.Add(1500 * time.Millisecond)
	assert.Zero(t, pace.delay(clusterNamed("demo", 1)))

	pace.forget(client.ObjectKeyFromObject(clusterNamed("demo", 1)))
	assert.Empty(t, pace.written)
}

func TestNewClustersHasOnlyClustersWithoutStatusAndObjects(t *testing.T) {
	clusters := newNewClusters()
	demo := clusterNamed("demo", 1)
	demo.UID = "1"
	// The schema's default.
	demo.Status.ObservedGeneration = -1
	assert.True(t, clusters.has(demo))
	clusters.exclude(demo)
	assert.False(t, clusters.has(demo), "it has objects")
	again := demo.DeepCopy()
	again.UID = "2"
	assert.True(t, clusters.has(again), "another cluster of the same name")
	demo.Status.ObservedGeneration = 1
	assert.False(t, clusters.has(demo))
	assert.Empty(t, clusters.excluded, "the status says it from now on")
	clusters.exclude(demo)
	assert.Empty(t, clusters.excluded)
	clusters.exclude(again)
	clusters.forget(client.ObjectKeyFromObject(again))
	assert.Empty(t, clusters.excluded)
}
