package controllers

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var secretKey = client.ObjectKey{Namespace: "team", Name: "s"}

func storedSecret(value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: secretKey.Namespace, Name: secretKey.Name},
		Data:       map[string][]byte{"k": []byte(value)},
	}
}

// counting is an API server that counts how often it is asked.
func counting(reads *int, objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			*reads++
			return c.Get(ctx, key, object, options...)
		},
	}).Build()
}

func TestSecretsAreReadOnlyWhenTheyHaveChanged(t *testing.T) {
	var reads int
	live := counting(&reads, storedSecret("one"))
	// The cache is in step with the API server; its own reads cost nothing.
	reader := newSecretReader(uncounted{live, &reads}, live)

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
func TestCertainReadsLookPastTheCache(t *testing.T) {
	var reads int
	behind := fake.NewClientBuilder().Build()
	reader := newSecretReader(behind, counting(&reads, storedSecret("one")))

	secret, err := reader.read(t.Context(), secretKey)
	require.NoError(t, err)
	assert.Nil(t, secret)

	secret, err = reader.readCertain(t.Context(), secretKey)
	require.NoError(t, err)
	require.NotNil(t, secret)
	assert.Equal(t, "one", string(secret.Data["k"]))
}

// uncounted takes its own reads off the count.
type uncounted struct {
	client.Reader

	reads *int
}

func (u uncounted) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	*u.reads--
	return u.Reader.Get(ctx, key, object, options...)
}

// Nobody reads a Secret of a cluster that is gone, so that no read would find out.
func TestSecretsOfAGoneClusterAreForgotten(t *testing.T) {
	var reads int
	scheme, err := NewScheme()
	require.NoError(t, err)
	server := fake.NewClientBuilder().WithScheme(scheme).Build()
	reader := newSecretReader(uncounted{server, &reads}, server)
	for _, name := range []string{"demo-admin", "demo-redis", "other-admin"} {
		key := client.ObjectKey{Namespace: "team", Name: name}
		reader.known[key], reader.seen[key] = storedSecret("v"), "1"
	}
	_, err = (&Reconciler{client: server, secrets: reader}).Reconcile(t.Context(),
		reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "team", Name: "demo"}})
	require.NoError(t, err)
	assert.Len(t, reader.known, 1)
	assert.Contains(t, reader.known, client.ObjectKey{Namespace: "team", Name: "other-admin"})
}
