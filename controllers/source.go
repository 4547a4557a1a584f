package controllers

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// fleetSource shows the fleet monitor the cluster as the operator's cache has it.
type fleetSource struct {
	reader  client.Reader
	secrets *secretReader
}

// Clusters lists all clusters.
func (s *fleetSource) Clusters(ctx context.Context) ([]v1alpha1.WebSocketCluster, error) {
	var list v1alpha1.WebSocketClusterList
	err := s.reader.List(ctx, &list)
	return list.Items, err //nolint:wrapcheck // the caller says what it was doing
}

// Pods lists a cluster's gateway pods.
func (s *fleetSource) Pods(ctx context.Context, cluster client.ObjectKey) ([]corev1.Pod, error) {
	return gatewayPods(ctx, s.reader, cluster)
}

var errNoToken = errors.New("there is no admin Secret of this cluster yet")

// Token is the token of the admin Secret, if that is the operator's own.
func (s *fleetSource) Token(ctx context.Context, cluster client.ObjectKey) (string, error) {
	secret, err := s.secrets.read(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: render.AdminSecretName(cluster.Name)})
	if err != nil {
		return "", err
	}
	if secret == nil {
		return "", errNoToken
	}
	owner := metav1.GetControllerOf(secret)
	if owner == nil || owner.Kind != v1alpha1.KindWebSocketCluster || owner.Name != cluster.Name {
		return "", errNoToken
	}
	return string(secret.Data[contract.AdminTokenKey]), nil
}

func gatewayPods(ctx context.Context, reader client.Reader, cluster client.ObjectKey) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := reader.List(ctx, &list, client.InNamespace(cluster.Namespace),
		client.MatchingLabels(render.SelectorLabels(cluster.Name, render.ComponentGateway)))
	return list.Items, err //nolint:wrapcheck // the callers say what they were doing
}
