package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// maxConcurrentSecretReads bounds the Secrets that are in memory at once while their values are digested. A Secret may
// have 1 MiB.
const maxConcurrentSecretReads = 2

// secretReader reads the Secrets that fleets use. The operator's cache holds the metadata of all Secrets and the
// content of none, so the reader asks the API server for the content when the metadata shows a new version. It keeps
// the content of Secrets that the operator has made, and digests of values of the others. Its methods may be called by
// several goroutines at once.
type secretReader struct {
	cache client.Reader
	live  client.Reader
	// slots has an entry for each Secret that is being digested.
	slots chan struct{}

	// mu guards the fields below.
	mu sync.Mutex
	// known are the operator's own Secrets that were read.
	known map[client.ObjectKey]*corev1.Secret
	// versions has, for each Secret of known, the resourceVersion that the cache had when it was read.
	versions map[client.ObjectKey]string
	// unseen are the Secrets of known that the operator has written and that the cache does not have yet.
	unseen map[client.ObjectKey]bool
	// digested has the digests of the Secrets that each cluster names, by cluster and name of the Secret.
	digested map[client.ObjectKey]map[string]digestedSecret
}

// digestedSecret is what is kept of a Secret that a cluster names.
type digestedSecret struct {
	// version is the resourceVersion of the Secret.
	version string
	// values has each key whose value was asked for.
	values secretDigests
}

// secretDigests are digests of values of a Secret, by their keys. A key that the Secret lacks has the zero digest.
type secretDigests map[string]valueDigest

// valueDigest stands for a value of a Secret.
type valueDigest struct {
	// bytes is the length of the value.
	bytes int
	// sum is a hash of the value. It is in the operator's memory only.
	sum [sha256.Size]byte
}

// text returns the digest as text that differs where the values differ.
func (d valueDigest) text() string { return strconv.Itoa(d.bytes) + ":" + hex.EncodeToString(d.sum[:]) }

func newSecretReader(cache, live client.Reader) *secretReader {
	return &secretReader{
		cache:    cache,
		live:     live,
		slots:    make(chan struct{}, maxConcurrentSecretReads),
		known:    map[client.ObjectKey]*corev1.Secret{},
		versions: map[client.ObjectKey]string{},
		unseen:   map[client.ObjectKey]bool{},
		digested: map[client.ObjectKey]map[string]digestedSecret{},
	}
}

// digests returns the digests of the values at keys of a Secret that the cluster names, or nil when there is no such
// Secret. It returns an error when the cache or the API server cannot be read, or ctx ends.
func (r *secretReader) digests(
	ctx context.Context, cluster client.ObjectKey, name string, keys ...string,
) (secretDigests, error) {
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: name}
	meta := secretMetadata()
	err := r.cache.Get(ctx, key, meta)
	if apierrors.IsNotFound(err) {
		r.rememberDigests(cluster, name, digestedSecret{})
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up Secret %s: %w", key, err)
	}
	if values := r.rememberedDigests(cluster, name, meta.ResourceVersion, keys); values != nil {
		return values, nil
	}
	read, err := r.digestLive(ctx, key, keys)
	if err != nil || read.values == nil {
		return nil, err
	}
	r.rememberDigests(cluster, name, read)
	return read.values, nil
}

// digestLive reads a Secret from the API server and returns the digests of its values at keys. The result has no values
// when there is no such Secret. digestLive returns an error when the API server cannot be read, or ctx ends.
func (r *secretReader) digestLive(ctx context.Context, key client.ObjectKey, keys []string) (digestedSecret, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return digestedSecret{}, ctx.Err()
	}
	secret, err := r.readLive(ctx, key, "")
	if err != nil || secret == nil {
		return digestedSecret{}, err
	}
	read := digestedSecret{version: secret.ResourceVersion, values: secretDigests{}}
	for _, key := range keys {
		read.values[key] = valueDigest{}
		if value := secret.Data[key]; len(value) > 0 {
			read.values[key] = valueDigest{bytes: len(value), sum: sha256.Sum256(value)}
		}
	}
	return read, nil
}

// rememberedDigests returns the digests that were made of this version of the Secret, or nil when a key is missing.
func (r *secretReader) rememberedDigests(
	cluster client.ObjectKey, name, version string, keys []string,
) secretDigests {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.digested[cluster][name]
	if known.version != version {
		return nil
	}
	for _, key := range keys {
		if _, has := known.values[key]; !has {
			return nil
		}
	}
	return maps.Clone(known.values)
}

// rememberDigests keeps the digests of a Secret. It adds them to those of other keys of the same version.
func (r *secretReader) rememberDigests(cluster client.ObjectKey, name string, read digestedSecret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if read.values == nil {
		delete(r.digested[cluster], name)
		return
	}
	if r.digested[cluster] == nil {
		r.digested[cluster] = map[string]digestedSecret{}
	}
	known := r.digested[cluster][name]
	if known.version == read.version {
		maps.Copy(known.values, read.values)
		return
	}
	r.digested[cluster][name] = digestedSecret{version: read.version, values: maps.Clone(read.values)}
}

// forgetDigests drops the digests of a cluster that was deleted.
func (r *secretReader) forgetDigests(cluster client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.digested, cluster)
}

// read returns the Secret, or nil when the cache has none. It keeps those of the operator's own in memory. The caller
// must not change the Secret. read returns an error when the cache or the API server cannot be read.
func (r *secretReader) read(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	meta := secretMetadata()
	err := r.cache.Get(ctx, key, meta)
	if apierrors.IsNotFound(err) {
		return r.justWritten(key), nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up Secret %s: %w", key, err)
	}
	if secret := r.remembered(key, meta.ResourceVersion); secret != nil {
		return secret, nil
	}
	version := meta.ResourceVersion
	if meta.Labels[render.LabelCluster] == "" {
		version = ""
	}
	return r.readLive(ctx, key, version)
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

// keepWritten takes a Secret that the operator has written, so that it need not be read again.
func (r *secretReader) keepWritten(secret *corev1.Secret) {
	key := client.ObjectKeyFromObject(secret)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key], r.versions[key], r.unseen[key] = secret, secret.ResourceVersion, true
}

// justWritten returns a Secret that the operator has written and that the cache does not have yet, or nil. It drops a
// Secret that the cache had before.
func (r *secretReader) justWritten(key client.ObjectKey) *corev1.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unseen[key] {
		return r.known[key]
	}
	delete(r.known, key)
	delete(r.versions, key)
	return nil
}

// remembered returns the Secret that was read at version, or nil.
func (r *secretReader) remembered(key client.ObjectKey, version string) *corev1.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.unseen, key)
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
	delete(r.unseen, key)
}

func secretMetadata() *metav1.PartialObjectMetadata {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return meta
}
