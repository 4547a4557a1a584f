package server

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/internal/contract"
)

var (
	now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	errSilent  = errors.New("timeout")
	errRefused = fmt.Errorf("ask gateway: %w", syscall.ECONNREFUSED)
)

// podNamed returns a running pod that is ready or not.
func podNamed(name string, isReady bool) *corev1.Pod {
	status := corev1.ConditionFalse
	if isReady {
		status = corev1.ConditionTrue
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
		},
	}
}

// serving returns a ready gateway that answered just now.
func serving(name string, connections int) gateway {
	return gateway{
		pod:        podNamed(name, true),
		reportedAt: now,
		report: contract.GatewayReport{
			State:          contract.StateServing,
			Connections:    connections,
			MaxConnections: 1000,
			ConnectRate:    new(0.5),
		},
	}
}

// with returns a copy of the gateway that was changed.
func (g gateway) with(change func(*gateway)) gateway {
	g.pod = g.pod.DeepCopy()
	change(&g)
	return g
}

// silent makes a gateway leave the request unanswered, with its last report from a while ago.
func silent(err error, lastReport time.Duration) func(*gateway) {
	return func(g *gateway) { g.err, g.reportedAt = err, now.Add(-lastReport) }
}

// neverReported makes a gateway one that has never answered.
func neverReported(err error) func(*gateway) {
	return func(g *gateway) { g.err, g.reportedAt, g.report = err, time.Time{}, contract.GatewayReport{} }
}

func deleted(g *gateway) { g.pod.DeletionTimestamp = &metav1.Time{Time: now} }

func notReady(g *gateway) { g.pod.Status.Conditions[0].Status = corev1.ConditionFalse }

func TestCountSumsTheConnectionsThatAreKnown(t *testing.T) {
	draining := serving("draining", 70).with(func(g *gateway) { g.report.State = contract.StateDraining })
	for name, c := range map[string]struct {
		other gateway
		want  int64
		stale []string
	}{
		"a draining gateway counts":       {draining, 170, nil},
		"a draining gateway is not ready": {draining.with(notReady), 170, nil},
		"a silent gateway keeps its last number": {serving("b", 50).with(silent(errSilent, maxReportAge)), 150,
			[]string{"b"}},
		"a silent gateway that is not ready, as well": {serving("b", 50).with(silent(errSilent, time.Second)).with(notReady),
			150, []string{"b"}},
		"a pod that is being deleted counts": {draining.with(deleted), 170, nil},
		"one that is being deleted and silent has handed over": {draining.with(silent(errSilent, time.Second)).with(deleted),
			100, nil},
		"a dead process holds no connections": {serving("b", 50).with(silent(errRefused, time.Second)), 100, nil},
		"a process that crashes again and again": {serving("b", 50).with(silent(errRefused, time.Hour)).with(notReady), 100,
			nil},
		"a gateway of a dead node, after a while": {serving("b", 50).with(silent(errSilent, 31*time.Second)).with(notReady),
			100, nil},
		"a gateway that has not begun": {serving("b", 0).with(neverReported(errRefused)).with(notReady), 100, nil},
	} {
		t.Run(name, func(t *testing.T) {
			fleet, err := count([]gateway{serving("a", 100), c.other}, now)
			require.NoError(t, err)
			sum, err := fleet.connections()
			require.NoError(t, err)
			assert.Equal(t, c.want, sum.Value())
			assert.Equal(t, c.stale, fleet.stale)
		})
	}
}

func TestCountIsAsOldAsTheOldestReport(t *testing.T) {
	fleet, err := count([]gateway{serving("a", 1), serving("b", 1).with(silent(errSilent, 9*time.Second))}, now)
	require.NoError(t, err)
	assert.Equal(t, now.Add(-9*time.Second), fleet.at)
}

// An error leaves the size of the fleet as it is; a number that is too small would have gateways removed.
func TestCountRefusesToGuess(t *testing.T) {
	for name, c := range map[string]struct {
		gateways []gateway
		message  string
	}{
		"a ready gateway is silent for too long": {
			[]gateway{serving("a", 1), serving("b", 1).with(silent(errSilent, 31*time.Second))}, "from b (timeout)",
		},
		"a ready gateway has never answered": {
			[]gateway{serving("a", 1), serving("b", 1).with(neverReported(errSilent))}, "from b (timeout)",
		},
		"a ready gateway refuses connections for long, as with a NetworkPolicy that rejects": {
			[]gateway{serving("a", 1), serving("b", 1).with(silent(errRefused, 31*time.Second))}, "NetworkPolicy",
		},
		"no gateway of the fleet answers": {
			[]gateway{serving("a", 1).with(neverReported(errSilent)).with(notReady)}, "from a",
		},
		"many gateways are silent": {
			slices.Repeat([]gateway{serving("a", 1).with(neverReported(errSilent))}, 1000), "from a, a, a and 997 more",
		},
		"two gateways are silent": {
			[]gateway{
				serving("a", 1).with(neverReported(errSilent)),
				serving("b", 1).with(neverReported(errSilent)),
			}, "no report of the last 30s from a, b (timeout): check that the metrics API can reach port 9090",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := count(c.gateways, now)
			require.ErrorContains(t, err, c.message)
		})
	}
}

func TestCountOfAFleetWithoutGatewaysIsZero(t *testing.T) {
	fleet, err := count(nil, now)
	require.NoError(t, err)
	sum, err := fleet.connections()
	require.NoError(t, err)
	assert.Zero(t, sum.Value())
}

func TestMaxRatioIsThatOfTheFullestServingGateway(t *testing.T) {
	fullest := serving("draining", 999).with(func(g *gateway) { g.report.State = contract.StateDraining })
	fleet, err := count([]gateway{serving("a", 333), serving("b", 1), fullest}, now)
	require.NoError(t, err)
	ratio, err := fleet.maxRatio()
	require.NoError(t, err)
	assert.Equal(t, "333m", ratio.String())

	third := serving("a", 1).with(func(g *gateway) { g.report.MaxConnections = 3 })
	fleet, err = count([]gateway{third}, now)
	require.NoError(t, err)
	ratio, err = fleet.maxRatio()
	require.NoError(t, err)
	assert.Equal(t, "334m", ratio.String(), "rounded up")
}

func TestMaxRatioNeedsAServingGateway(t *testing.T) {
	fleet, err := count([]gateway{serving("a", 1).with(func(g *gateway) { g.report.State = contract.StateDrained })}, now)
	require.NoError(t, err)
	_, err = fleet.maxRatio()
	require.ErrorIs(t, err, errNoneServes)
}

func TestConnectRateIsTheSum(t *testing.T) {
	fleet, err := count([]gateway{serving("a", 1), serving("b", 1), serving("c", 1)}, now)
	require.NoError(t, err)
	rate, err := fleet.connectRate()
	require.NoError(t, err)
	assert.Equal(t, "1500m", rate.String())
}

func TestConnectRateNamesTheGatewayThatIsTooOld(t *testing.T) {
	old := serving("b", 1).with(func(g *gateway) { g.report.ConnectRate, g.report.Version = nil, "v0.1.0" })
	fleet, err := count([]gateway{serving("a", 1), old}, now)
	require.NoError(t, err)
	_, err = fleet.connectRate()
	require.ErrorContains(t, err, `gateway b has version "v0.1.0"`)
	require.ErrorContains(t, err, "spec.image")
}
