package controllers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// fight is a client that changes an object as soon as the operator has repaired it.
type fight struct {
	*contention
	clock   time.Time
	cluster client.ObjectKey
	ref     render.Ref
	repairs []time.Duration
}

func newFight() *fight {
	f := &fight{
		contention: newContention(),
		clock:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		cluster:    client.ObjectKey{Namespace: "team", Name: "demo"},
		ref:        render.DeploymentRef("demo-gateway"),
	}
	f.now = func() time.Time { return f.clock }
	return f
}

// goOn lets the time pass, second by second, and repairs the object whenever the operator may.
func (f *fight) goOn(d time.Duration) {
	by := offence{"kube-controller-manager (subresource scale)", ".spec.replicas"}
	for end := f.clock.Add(d); f.clock.Before(end); f.clock = f.clock.Add(time.Second) {
		f.problems(f.cluster)
		if f.mayRepair(f.cluster, f.ref) {
			f.repairs = append(f.repairs, f.clock.Sub(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))/time.Second)
			f.noteRepair(f.cluster, f.ref, by)
		}
	}
}

// The third repair within a minute makes the object contested. The pauses double up to five minutes.
func TestContentionBacksOff(t *testing.T) {
	f := newFight()
	f.goOn(2 * time.Second)
	assert.Empty(t, f.problems(f.cluster), "two repairs are no fight")
	f.goOn(30 * time.Minute)
	assert.Equal(t, []time.Duration{0, 1, 2, 12, 32, 72, 152, 312, 612, 912, 1212, 1512}, f.repairs)
	assert.True(t, f.mayRepair(f.cluster, render.ServiceRef("demo-gateway")), "other objects are not affected")
	assert.True(t, f.mayRepair(client.ObjectKey{Namespace: "team", Name: "other"}, f.ref), "other fleets neither")

	problems := f.problems(f.cluster)
	require.Len(t, problems, 1)
	assert.Equal(t, v1alpha1.ReasonContested, problems[0].Reason)
	assert.False(t, problems[0].BlocksGateways, "the spec still reaches the gateways")
	for _, word := range []string{"kube-controller-manager (subresource scale)",
		".spec.replicas of Deployment demo-gateway", "HorizontalPodAutoscaler"} {
		assert.Contains(t, problems[0].Message, word)
	}
}

func TestContentionEndsWhenQuiet(t *testing.T) {
	f := newFight()
	f.goOn(3 * time.Second)
	require.Len(t, f.problems(f.cluster), 1)
	assert.Equal(t, 9*time.Second, f.recheckAfter(f.cluster), "the end of the pause")
	f.clock = f.clock.Add(20 * time.Second)
	assert.Equal(t, 39*time.Second, f.recheckAfter(f.cluster), "the end of the fight")
	f.clock = f.clock.Add(39 * time.Second)
	assert.Empty(t, f.problems(f.cluster))
	assert.Zero(t, f.recheckAfter(f.cluster))
	assert.Empty(t, f.disputes)
}

// Repairs that are minutes apart are no fight, and a deleted cluster leaves nothing behind.
func TestContentionForgets(t *testing.T) {
	f := newFight()
	for range 5 {
		f.goOn(time.Second)
		f.clock = f.clock.Add(31 * time.Second)
		assert.Empty(t, f.problems(f.cluster))
	}
	f.forget(f.cluster)
	assert.Empty(t, f.disputes)
}

func TestSoonest(t *testing.T) {
	assert.Zero(t, soonest(nil))
	assert.Zero(t, soonest([]time.Duration{0, 0}))
	assert.Equal(t, time.Second, soonest([]time.Duration{0, time.Minute, time.Second}))
}
