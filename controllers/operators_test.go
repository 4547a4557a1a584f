package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// operatorsAt returns what an operator knows of others, by a clock that shows *now.
func operatorsAt(now *time.Time, live client.Reader) *operators {
	return &operators{
		own:     client.ObjectKey{Namespace: "mine", Name: "lease"},
		live:    live,
		silence: time.Minute,
		now:     func() time.Time { return *now },
		seen:    map[string]renewal{},
		without: map[string]time.Time{},
	}
}

// An operator leaves the fleets of another one alone until that one has been silent for a minute, by its own clock.
func TestOperatorsWaitUntilTheOtherIsSilent(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "lease"},
		// The clock of the other operator is wrong.
		Spec: coordinationv1.LeaseSpec{RenewTime: new(metav1.NewMicroTime(now.Add(-time.Hour)))},
	}
	server := fake.NewClientBuilder().WithObjects(lease).Build()
	o := operatorsAt(&now, server)
	may := func(identity string) bool {
		t.Helper()
		mine, err := o.mayManage(t.Context(), identity)
		require.NoError(t, err)
		return mine
	}
	assert.True(t, may(""), "a fleet of an older version")
	assert.True(t, may("mine/lease"))
	assert.True(t, may("nonsense"))
	assert.True(t, may("gone/lease"), "there is no such Lease")
	assert.False(t, may("other/lease"))

	now = now.Add(45 * time.Second)
	assert.False(t, may("other/lease"))
	lease.Spec.RenewTime = new(metav1.NewMicroTime(lease.Spec.RenewTime.Add(time.Second)))
	require.NoError(t, server.Update(t.Context(), lease))
	now = now.Add(15 * time.Second)
	assert.False(t, may("other/lease"), "it has renewed its Lease")
	now = now.Add(59 * time.Second)
	assert.False(t, may("other/lease"))
	now = now.Add(time.Second)
	assert.True(t, may("other/lease"), "it has been silent for a minute")
}

// A fleet that no operator manages is for the operator that has its Lease in the fleet's namespace, while that one
// renews it. Where there is none, its Lease is not looked up for each fleet.
func TestOperatorsLeaveNewFleetsToTheOneOfTheNamespace(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lease := func(namespace string) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lease"},
			Spec:       coordinationv1.LeaseSpec{RenewTime: new(metav1.NewMicroTime(now))},
		}
	}
	var answer error
	reads := 0
	server := fake.NewClientBuilder().WithObjects(lease("team")).WithInterceptorFuncs(interceptor.Funcs{Get: func(
		ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption,
	) error {
		reads++
		if answer != nil {
			return answer
		}
		return c.Get(ctx, key, into, options...)
	}}).Build()
	o := operatorsAt(&now, server)
	may := func(namespace string) bool {
		t.Helper()
		mine, other, err := o.mayBegin(t.Context(), namespace)
		require.NoError(t, err)
		if !mine {
			assert.Equal(t, namespace+"/lease", other)
		}
		return mine
	}
	assert.True(t, may("mine"))
	assert.False(t, may("team"))
	for range 3 {
		assert.True(t, may("free"))
	}
	assert.Equal(t, 2, reads)

	require.NoError(t, server.Create(t.Context(), lease("free")))
	now = now.Add(15 * time.Second)
	assert.False(t, may("free"), "an operator has come")
	now = now.Add(45 * time.Second)
	assert.True(t, may("team"), "it has been silent for a minute")
	assert.False(t, may("free"))

	answer = apierrors.NewForbidden(schema.GroupResource{}, "lease", nil)
	assert.True(t, may("closed"), "a Lease that may not be read holds up no fleet")
	answer = errors.New("no route")
	mine, _, err := o.mayBegin(t.Context(), "other")
	require.ErrorIs(t, err, answer)
	assert.False(t, mine)
	o.own = client.ObjectKey{}
	assert.True(t, may("team"), "an operator without an identity takes no notice of others")
}

// An operator that cannot find out whether another one lives changes nothing.
func TestOperatorsReturnUnreadableLeases(t *testing.T) {
	broken := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{Get: func(
		context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption,
	) error {
		return errors.New("no route")
	}})
	o := &operators{own: client.ObjectKey{Name: "x"}, live: broken, silence: time.Minute, now: time.Now}
	mine, err := o.mayManage(t.Context(), "other/lease")
	require.ErrorContains(t, err, "no route")
	assert.False(t, mine)
}

// A namespaced operator may not read the Lease of an operator in another namespace. It leaves the fleet alone.
func TestOperatorsTellThatALeaseIsNotTheirsToRead(t *testing.T) {
	forbidding := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{Get: func(
		context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption,
	) error {
		return apierrors.NewForbidden(schema.GroupResource{}, "lease", nil)
	}})
	o := &operators{own: client.ObjectKey{Name: "x"}, live: forbidding, silence: time.Minute, now: time.Now}
	mine, err := o.mayManage(t.Context(), "other/lease")
	require.ErrorIs(t, err, errUnreadableLease)
	assert.False(t, mine)
}
