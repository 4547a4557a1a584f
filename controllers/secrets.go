package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// secretReader reads the content of the few Secrets that matter, and only when they have changed:
// the cache knows the metadata of all Secrets, and the content of none.
type secretReader struct {
	cache client.Reader
	live  client.Reader

	mu    sync.Mutex
	known map[client.ObjectKey]*corev1.Secret
	// seen is the cached resourceVersion at which known was read.
	seen map[client.ObjectKey]string
}

func newSecretReader(cache, live client.Reader) *secretReader {
	return &secretReader{
		cache: cache,
		live:  live,
		known: map[client.ObjectKey]*corev1.Secret{},
		seen:  map[client.ObjectKey]string{},
	}
}

// read is nil where there is no such Secret.
func (r *secretReader) read(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	meta := secretMetadata()
	err := r.cache.Get(ctx, key, meta)
	if apierrors.IsNotFound(err) {
		r.forget(key)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up Secret %s: %w", key, err)
	}
	if secret := r.remembered(key, meta.ResourceVersion); secret != nil {
		return secret, nil
	}
	return r.readLive(ctx, key, meta.ResourceVersion)
}

// readCertain asks the API server where the cache knows nothing: the cache may be behind, and what
// was generated once must not be generated again.
func (r *secretReader) readCertain(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	secret, err := r.read(ctx, key)
	if secret != nil || err != nil {
		return secret, err
	}
	return r.readLive(ctx, key, "")
}

func (r *secretReader) readLive(ctx context.Context, key client.ObjectKey, cachedVersion string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.live.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	if cachedVersion != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.known[key], r.seen[key] = secret, cachedVersion
	}
	return secret, nil
}

func (r *secretReader) remembered(key client.ObjectKey, version string) *corev1.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[key] != version {
		return nil
	}
	return r.known[key]
}

func (r *secretReader) forget(key client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
	delete(r.seen, key)
}

func secretMetadata() *metav1.PartialObjectMetadata {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return meta
}
