package integration

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// createLargeSecrets creates n Secrets, large-0 and so on, each with a random value of a number of bytes and what
// complete adds. They are deleted after the test.
func createLargeSecrets(t *testing.T, namespace string, n, bytes int, complete func(*corev1.Secret)) {
	t.Helper()
	value := make([]byte, bytes)
	_, err := rand.Read(value)
	require.NoError(t, err)
	withEach := func(do func(secret *corev1.Secret) error) error {
		var all errgroup.Group
		all.SetLimit(4)
		for i := range n {
			all.Go(func() error {
				name := fmt.Sprintf("large-%d", i)
				return do(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
			})
		}
		return all.Wait()
	}
	t.Cleanup(func() {
		// One by one: the answer to the deletion of a collection has all that was deleted.
		assert.NoError(t, withEach(func(secret *corev1.Secret) error {
			return client.IgnoreNotFound(env.client.Delete(context.Background(), secret))
		}))
	})
	require.NoError(t, withEach(func(secret *corev1.Secret) error {
		secret.Data = map[string][]byte{"large": value}
		complete(secret)
		return env.client.Create(t.Context(), secret, client.FieldOwner("kubectl-client-side-apply"))
	}))
}

// Secrets that no fleet names cost no memory, however large the copy of the manifest is that `kubectl apply` keeps in
// an annotation: neither while they are created nor in an operator that starts beside them. What counts is the most
// memory that the process has had, by which the kernel kills it.
func TestOperatorMemoryBesideAppliedSecrets(t *testing.T) {
	t.Parallel()
	// An object may have annotations of 256 KiB.
	const secrets, bytes = 150, 240 << 10
	namespace := newNamespace(t)
	admitToLease(t, namespace)
	first := startOperatorProcess(t, env.operator, namespace)
	createFleet(t, namespace, "before", "{}").eventuallyManaged()
	// An operator that keeps the annotations grows by a third to a half more than their bytes. The garbage of what it
	// drops at once is less, up to two thirds of them when it starts.
	bound := first.peakMemory() + secrets*bytes

	createLargeSecrets(t, namespace, secrets, base64.StdEncoding.DecodedLen(bytes), func(secret *corev1.Secret) {
		copied := `{"data":{"large":"` + base64.StdEncoding.EncodeToString(secret.Data["large"]) + `"}}`
		secret.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: copied}
	})
	createFleet(t, namespace, "beside", "{}").eventuallyManaged()
	require.Less(t, first.peakMemory(), bound)

	first.terminate()
	second := startOperatorProcess(t, env.operator, namespace)
	createFleet(t, namespace, "after", "{}").eventuallyManaged()
	require.Less(t, second.peakMemory(), bound)
}

// eventuallyManaged waits until an operator's process, which may have to start first, has accepted the spec.
func (f *fleet) eventuallyManaged() {
	f.t.Helper()
	require.EventuallyWithT(f.t, func(t *assert.CollectT) {
		f.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}, recoveryTimeout, pollInterval)
}

// peakMemory returns the most bytes of memory that the process has had at once.
func (p *operatorProcess) peakMemory() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	require.NoError(p.t, err)
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	require.NotNil(p.t, found, "%s", status)
	kilobytes, err := strconv.Atoi(string(found[1]))
	require.NoError(p.t, err)
	return kilobytes << 10
}

// fiveSecrets is a spec that names five Secrets.
const fiveSecrets = `{replicas: 0, redis: {external: {addresses: ['r:6379'], credentialsSecretRef: {name: large-%d}}},
  gateway: {auth: {apiKeySecretRef: {name: large-%d}, previousAPIKeySecretRef: {name: large-%d},
  jwt: {secretRef: {name: large-%d}, previousSecretRef: {name: large-%d}}}}}`

// The operator needs the values of the Secrets that fleets name, and keeps no more than digests. The test does not run
// in parallel: it measures the heap of the process.
func TestOperatorMemoryOfNamedSecrets(t *testing.T) {
	const fleets, perFleet, bytes = 6, 5, 900 << 10
	o := startOperator(t)
	createLargeSecrets(t, o.namespace, fleets*perFleet, bytes, func(secret *corev1.Secret) {
		secret.StringData = map[string]string{"password": firstValue, "api-key": firstValue,
			"api-previous-key": firstValue, "jwt-key": firstValue, "jwt-previous-key": firstValue}
	})
	o.awaitQuiet()
	before := heap()

	var all []*fleet
	for i := range fleets {
		n := perFleet * i
		all = append(all, createFleet(t, o.namespace, fmt.Sprintf("fleet-%d", i),
			fmt.Sprintf(fiveSecrets, n, n+1, n+2, n+3, n+4)))
	}
	for _, f := range all {
		f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}
	o.awaitQuiet()
	// An operator that keeps the Secrets grows by more than their bytes.
	const bound = fleets * perFleet * bytes / 6
	require.Less(t, heap()-before, bound)

	for _, f := range all {
		require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
	}
	for _, f := range all {
		f.eventuallyGone()
		f.collectGarbage()
	}
	o.awaitQuiet()
	require.Less(t, heap()-before, bound, "the memory of deleted fleets is given back")
}

// heap returns the bytes that the objects on the heap of the process have. The second collection frees what has a
// finalizer.
func heap() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
