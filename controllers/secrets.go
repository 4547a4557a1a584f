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

// secretReader reads the Secrets that fleets use. The operator's cache holds the metadata of all Secrets and the
// content of none, so the reader asks the API server for the content when the metadata shows a new version. Its methods
// may be called by several goroutines at once.
type secretReader struct {
	cache client.Reader
	live  client.Reader

	// mu guards the fields below.
	mu sync.Mutex
	// known are the Secrets that were read.
	known map[client.ObjectKey]*corev1.Secret
	// versions has, for each Secret of known, the resourceVersion that the cache had when it was read.
	versions map[client.ObjectKey]string
}

func newSecretReader(cache, live client.Reader) *secretReader {
	return &secretReader{
		cache:    cache,
		live:     live,
		known:    map[client.ObjectKey]*corev1.Secret{},
		versions: map[client.ObjectKey]string{},
	}
}

// read returns the Secret, or nil when the cache has none. The caller must not change it. read returns an error when
// the cache or the API server cannot be read.
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

// readThrough returns the Secret like read, and asks the API server when the cache has none. The cache may be behind,
// and a value that was generated once must not be generated again. readThrough returns the errors of read.
func (r *secretReader) readThrough(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	secret, err := r.read(ctx, key)
	if secret != nil || err != nil {
		return secret, err
	}
	return r.readLive(ctx, key, "")
}

// readLive reads the Secret from the API server, and returns nil when there is none. It remembers the Secret when
// cachedVersion is not empty. It returns an error when the API server cannot be read.
func (r *secretReader) readLive(
	ctx context.Context, key client.ObjectKey, cachedVersion string,
) (*corev1.Secret, error) {
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
		r.known[key], r.versions[key] = secret, cachedVersion
	}
	return secret, nil
}

// remembered returns the Secret that was read at version, or nil.
func (r *secretReader) remembered(key client.ObjectKey, version string) *corev1.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.versions[key] != version {
		return nil
	}
	return r.known[key]
}

// forget drops a Secret that is gone.
func (r *secretReader) forget(key client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
	delete(r.versions, key)
}

func secretMetadata() *metav1.PartialObjectMetadata {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return meta
}
