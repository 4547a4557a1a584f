package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// A fleet that is gone before the operator has seen it leaves nothing.
func TestDeletionBeforeTheFirstReconcile(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	o.stop()
	f := createFleet(t, o.namespace, "fleet", everything)
	require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
	f.eventuallyGone()
	o.start()
	createFleet(t, o.namespace, "other", "{}").eventuallySettled()
	o.awaitQuiet()
	require.Empty(t, f.existing())
}

// A fleet that is deleted while it is being created goes, whatever was there by then. What the operator still creates
// has its owner, so that the garbage collector deletes it.
func TestDeletionWhileTheFleetIsCreated(t *testing.T) {
	t.Parallel()
	for _, writes := range []int{0, 1, 4, 8} {
		t.Run(fmt.Sprintf("after %d writes", writes), func(t *testing.T) {
			t.Parallel()
			o := startOperator(t)
			reached, goOn := o.pauseAfter(writes)
			f := createFleet(t, o.namespace, "fleet", everything)
			<-reached
			uid := f.get(t).UID
			require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
			goOn()

			f.eventually(func(t *assert.CollectT) {
				f.collectGarbage()
				err := env.client.Get(f.t.Context(), f.key(), &v1alpha1.WebSocketCluster{})
				assert.True(t, apierrors.IsNotFound(err), "it is still there (%v)", err)
			})
			o.awaitQuiet()
			for _, c := range allChildren() {
				object := c.empty(f.namespace, f.name)
				if env.client.Get(t.Context(), client.ObjectKeyFromObject(object), object) == nil {
					owner := metav1.GetControllerOf(object)
					require.NotNil(t, owner, c)
					require.Equal(t, uid, owner.UID, c)
				}
			}
		})
	}
}

// While a fleet goes, its name is taken. A new one has nothing of the old one, not even its token.
func TestDeletionAndAFleetOfTheSameName(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	first := createFleet(t, o.namespace, "fleet", "{}")
	first.eventuallySettled()
	// In the middle of a rollout, with one gateway that drains.
	gateways := startFakeGateways(t, first, 3)
	require.NoError(t, env.client.Delete(t.Context(), gateways[0].pod))
	token := read(t, adminSecret.get(t, first), ".data.token")
	require.NoError(t, env.client.Delete(t.Context(), first.get(t)))
	err := env.client.Create(t.Context(), manifest(t, o.namespace, "fleet", "replicas: 3"))
	require.True(t, apierrors.IsAlreadyExists(err), "%v", err)

	for _, g := range gateways {
		g.remove(t)
	}
	var second *fleet
	first.eventually(func(t *assert.CollectT) {
		first.collectGarbage()
		// As soon as it can be.
		err := env.client.Create(first.t.Context(), manifest(first.t, o.namespace, "fleet", "replicas: 3"))
		require.NoError(t, err)
		second = first.in(first.t)
	})
	second.eventually(func(t *assert.CollectT) {
		second.collectGarbage()
		second.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		assert.Equal(t, "3", read(t, gatewayDeployment.get(t, second), ".spec.replicas"))
	})
	require.NotEqual(t, token, read(t, adminSecret.get(t, second), ".data.token"))
}

// pauseAfter lets the operator send a number of writes, and holds the next one back until goOn is called. reached is
// closed when the operator is there.
func (o *operator) pauseAfter(writes int) (reached <-chan struct{}, goOn func()) {
	var sent atomic.Int64
	there, released := make(chan struct{}), make(chan struct{})
	arrive := sync.OnceFunc(func() { close(there) })
	o.sent.before(func(request *http.Request) *http.Response {
		isEvent := strings.HasSuffix(request.URL.Path, "/events")
		if request.Method != http.MethodGet && !isEvent && sent.Add(1) > int64(writes) {
			arrive()
			<-released
		}
		return nil
	})
	goOn = sync.OnceFunc(func() { close(released) })
	o.t.Cleanup(goOn)
	return there, goOn
}

// collectGarbage does the garbage collector's part once: it deletes the objects whose owner is gone, and lets those go
// that are deleted in the foreground.
func (f *fleet) collectGarbage() {
	current := &v1alpha1.WebSocketCluster{}
	gone := env.client.Get(f.t.Context(), f.key(), current) != nil
	for _, c := range allChildren() {
		object := c.empty(f.namespace, f.name)
		if env.client.Get(f.t.Context(), client.ObjectKeyFromObject(object), object) != nil {
			continue
		}
		if owner := metav1.GetControllerOf(object); owner != nil && (gone || owner.UID != current.UID) {
			_ = env.client.Delete(f.t.Context(), object)
		}
		if object.GetDeletionTimestamp() != nil {
			removeFinalizers(f.t, c, f)
		}
	}
}
