package controllers

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/controllers/render"
)

var secretKey = client.ObjectKey{Namespace: "team", Name: "s"}

func storedSecret(value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: secretKey.Namespace,
			Name:      secretKey.Name,
			Labels:    map[string]string{render.LabelCluster: "demo"},
		},
		Data: map[string][]byte{"k": []byte(value)},
	}
}

// newCountingClient returns a fake API server that counts the reads.
func newCountingClient(reads *int, objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption,
		) error {
			*reads++
			return c.Get(ctx, key, object, options...)
		},
	}).Build()
}

func TestSecretReaderReadsOnlyChangedSecrets(t *testing.T) {
	var reads int
	live := newCountingClient(&reads, storedSecret("one"))
	// The cache is in step with the API server; its own reads cost nothing.
	reader := newSecretReader(uncountedReader{live, &reads}, live)

	for range 3 {
		secret, err := reader.read(t.Context(), secretKey)
		require.NoError(t, err)
		assert.Equal(t, "one", string(secret.Data["k"]))
	}
	assert.Equal(t, 1, reads)

	changed := storedSecret("two")
	require.NoError(t, live.Update(t.Context(), changed))
	secret, err := reader.read(t.Context(), secretKey)
	require.NoError(t, err)
	assert.Equal(t, "two", string(secret.Data["k"]))
	assert.Equal(t, 2, reads)

	require.NoError(t, live.Delete(t.Context(), changed))
	secret, err = reader.read(t.Context(), secretKey)
	require.NoError(t, err)
	assert.Nil(t, secret)
	assert.Empty(t, reader.known, "a Secret that is gone must not stay in memory")
}

// A generated Secret that the cache does not know of yet must not be generated again.
func TestSecretReaderReadsThroughTheCache(t *testing.T) {
	var reads int
	behind := fake.NewClientBuilder().Build()
	reader := newSecretReader(behind, newCountingClient(&reads, storedSecret("one")))

	secret, err := reader.read(t.Context(), secretKey)
	require.NoError(t, err)
	assert.Nil(t, secret)

	secret, err = reader.readThrough(t.Context(), secretKey)
	require.NoError(t, err)
	require.NotNil(t, secret)
	assert.Equal(t, "one", string(secret.Data["k"]))
}

// uncountedReader takes its own reads off the count of a counting client.
type uncountedReader struct {
	client.Reader

	reads *int
}

func (u uncountedReader) Get(
	ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption,
) error {
	*u.reads--
	return u.Reader.Get(ctx, key, object, options...)
}

// No reconcile reads the Secrets of a deleted cluster, so no read would drop them.
func TestReconcilerForgetsSecretsOfADeletedCluster(t *testing.T) {
	var reads int
	scheme, err := NewScheme()
	require.NoError(t, err)
	server := fake.NewClientBuilder().WithScheme(scheme).Build()
	reader := newSecretReader(uncountedReader{server, &reads}, server)
	for _, name := range []string{"demo-admin", "demo-redis", "other-admin"} {
		key := client.ObjectKey{Namespace: "team", Name: name}
		reader.known[key], reader.versions[key] = storedSecret("v"), "1"
	}
	reader.rememberDigests(client.ObjectKey{Namespace: "team", Name: "demo"}, "named",
		digestedSecret{version: "1", values: digestsWith("k", "v")})
	metrics, err := newOperatorMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	_, err = (&Reconciler{
		client:   server,
		secrets:  reader,
		metrics:  metrics,
		applier:  &applier{newClusters: newNewClusters(), contention: newContention()},
		pace:     newStatusPace(0),
		upgrades: newUpgrades(1),
	}).Reconcile(t.Context(),
		reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "team", Name: "demo"}})
	require.NoError(t, err)
	assert.NotContains(t, reader.digested, client.ObjectKey{Namespace: "team", Name: "demo"})
	assert.Len(t, reader.known, 1)
	assert.Contains(t, reader.known, client.ObjectKey{Namespace: "team", Name: "other-admin"})
}

// The content of a Secret that the operator has not made does not stay in memory.
func TestSecretReaderDigestsNamedSecrets(t *testing.T) {
	var reads int
	foreign := storedSecret("one")
	foreign.Labels = nil
	foreign.Data["other"] = []byte("two")
	live := newCountingClient(&reads, foreign)
	reader := newSecretReader(uncountedReader{live, &reads}, live)
	cluster := client.ObjectKey{Namespace: secretKey.Namespace, Name: "demo"}
	digests := func(keys ...string) secretDigests {
		t.Helper()
		values, err := reader.digests(t.Context(), cluster, secretKey.Name, keys...)
		require.NoError(t, err)
		return values
	}

	before := digests("k")
	assert.Equal(t, 3, before["k"].bytes)
	digests("other", "missing")
	assert.Equal(t, 2, reads)
	assert.Zero(t, digests("k", "other", "missing")["missing"])
	assert.Equal(t, 2, reads, "nothing has changed")

	foreign.Data["k"] = []byte("uno")
	require.NoError(t, live.Update(t.Context(), foreign))
	assert.NotEqual(t, before["k"].text(), digests("k")["k"].text())
	assert.Equal(t, 3, reads)

	require.NoError(t, live.Delete(t.Context(), foreign))
	assert.Nil(t, digests("k"))
	assert.Empty(t, reader.digested[cluster])
	assert.Empty(t, reader.known)
}

func TestSecretReaderKeepsNoForeignSecret(t *testing.T) {
	var reads int
	foreign := storedSecret("one")
	foreign.Labels = nil
	live := newCountingClient(&reads, foreign)
	reader := newSecretReader(uncountedReader{live, &reads}, live)
	for range 2 {
		secret, err := reader.read(t.Context(), secretKey)
		require.NoError(t, err)
		assert.Equal(t, "one", string(secret.Data["k"]))
	}
	assert.Equal(t, 2, reads)
	assert.Empty(t, reader.known)
}
