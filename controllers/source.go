package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// fleetSource is the fleet monitor's Source. It reads from the operator's cache.
type fleetSource struct {
	reader  client.Reader
	secrets *secretReader
}

// Clusters lists all clusters. It returns an error when the cache cannot be read.
func (s *fleetSource) Clusters(ctx context.Context) ([]v1alpha1.WebSocketCluster, error) {
	var list v1alpha1.WebSocketClusterList
	err := s.reader.List(ctx, &list, client.UnsafeDisableDeepCopy)
	return list.Items, err //nolint:wrapcheck // the caller wraps it
}

// Pods lists the gateway pods of a cluster. It returns an error when the cache cannot be read.
func (s *fleetSource) Pods(ctx context.Context, cluster client.ObjectKey) ([]corev1.Pod, error) {
	return podsOf(ctx, s.reader, cluster, render.ComponentGateway)
}

// Token returns the bearer token in the admin Secret of the cluster. It returns fleet.ErrNoToken when there is no such
// Secret of the operator's own, and an error when the Secret cannot be read.
func (s *fleetSource) Token(ctx context.Context, cluster client.ObjectKey) (string, error) {
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: render.AdminSecretName(cluster.Name)}
	secret, err := s.secrets.read(ctx, key)
	if err != nil {
		return "", err
	}
	return fleet.TokenOf(secret, cluster) //nolint:wrapcheck // the caller wraps it
}

// podsOf lists the pods of a component of a cluster. It returns the error of reader.
func podsOf(
	ctx context.Context, reader client.Reader, cluster client.ObjectKey, component string,
) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := reader.List(ctx, &list, client.InNamespace(cluster.Namespace),
		client.MatchingLabels(render.SelectorLabels(cluster.Name, component)))
	return list.Items, err //nolint:wrapcheck // the callers wrap it
}
