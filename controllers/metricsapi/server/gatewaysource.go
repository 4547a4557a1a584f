package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// tokenTTL is how long the token of a fleet is kept. A token that gateways refuse is read again at once.
const tokenTTL = 5 * time.Minute

// gatewaySource finds the gateways of fleets. It implements fleet.GatewaySource. Pods come from a cache. The Secrets
// with the tokens do not: the metrics API may read a Secret whose name it knows, and cannot list them. Its methods may
// be called by several goroutines at once.
type gatewaySource struct {
	cache client.Reader
	live  client.Reader

	// mu guards tokens.
	mu     sync.Mutex
	tokens map[client.ObjectKey]token
}

// token is the bearer token of a fleet.
type token struct {
	value  string
	readAt time.Time
}

func newGatewaySource(cache, live client.Reader) *gatewaySource {
	return &gatewaySource{cache: cache, live: live, tokens: map[client.ObjectKey]token{}}
}

// Pods lists the gateway pods of the fleet, those that are ready first: a reading that runs into its timeout, because a
// zone with dozens of gateways is down, has then asked those that answer. Pods returns an error when the cache cannot
// be read.
func (s *gatewaySource) Pods(ctx context.Context, cluster client.ObjectKey) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := s.cache.List(ctx, &list, client.InNamespace(cluster.Namespace),
		client.MatchingLabels(render.SelectorLabels(cluster.Name, render.ComponentGateway)))
	sorted := make([]corev1.Pod, 0, len(list.Items))
	var notReady []corev1.Pod
	for _, pod := range list.Items {
		if fleet.IsReady(&pod) {
			sorted = append(sorted, pod)
		} else {
			notReady = append(notReady, pod)
		}
	}
	return append(sorted, notReady...), err //nolint:wrapcheck // the caller wraps it
}

// Token returns the token of the fleet. It returns fleet.ErrNoToken when the operator has not made one, and an error
// when the Secret cannot be read.
func (s *gatewaySource) Token(ctx context.Context, cluster client.ObjectKey) (string, error) {
	if kept, known := s.kept(cluster); known {
		return kept, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: render.AdminSecretName(cluster.Name)}
	err := s.live.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		return "", fleet.ErrNoToken
	}
	if err != nil {
		return "", fmt.Errorf("read Secret %s: %w", key, err)
	}
	value, err := fleet.TokenOf(secret, cluster)
	if err != nil {
		return "", err //nolint:wrapcheck // the caller wraps it
	}
	s.keep(cluster, value)
	return value, nil
}

// kept returns the token of the fleet, or false when there is none that is younger than tokenTTL.
func (s *gatewaySource) kept(cluster client.ObjectKey) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, known := s.tokens[cluster]
	return kept.value, known && time.Since(kept.readAt) < tokenTTL
}

// keep stores the token, and forgets those that are too old.
func (s *gatewaySource) keep(cluster client.ObjectKey, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, old := range s.tokens {
		if time.Since(old.readAt) >= tokenTTL {
			delete(s.tokens, key)
		}
	}
	s.tokens[cluster] = token{value: value, readAt: time.Now()}
}

// forgetToken drops the token of the fleet, so that the next reading begins with the Secret.
func (s *gatewaySource) forgetToken(cluster client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, cluster)
}

// slimPod drops all of a pod that the metrics API does not read, before the cache keeps it. It returns objects that are
// no pods as they are, and never an error.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	return &corev1.Pod{
		ObjectMeta: slimMetadata(pod.ObjectMeta),
		Status: corev1.PodStatus{
			Phase:      pod.Status.Phase,
			PodIP:      pod.Status.PodIP,
			Conditions: slimCondition(pod),
		},
	}, nil
}

// slimCluster drops all of a WebSocketCluster's metadata that the metrics API does not read, like slimPod.
func slimCluster(object any) (any, error) {
	meta, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: meta.TypeMeta, ObjectMeta: slimMetadata(meta.ObjectMeta)}, nil
}

func slimMetadata(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:       meta.Namespace,
		Name:            meta.Name,
		UID:             meta.UID,
		ResourceVersion: meta.ResourceVersion,
		Labels:          meta.Labels,
	}
}

// slimCondition returns the pod's condition Ready without its text, or none.
func slimCondition(pod *corev1.Pod) []corev1.PodCondition {
	ready := fleet.ReadyCondition(pod)
	if ready == nil {
		return nil
	}
	return []corev1.PodCondition{{Type: ready.Type, Status: ready.Status}}
}
