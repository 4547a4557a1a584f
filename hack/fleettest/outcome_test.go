package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/golden"
	"github.com/wsfleet/wsfleet/internal/load"
)

// outcomeOf returns the outcome of a planned event and of a fault, in which the clients saw what the counts say.
func outcomeOf(t *testing.T, planned, fault load.LiveCounts) *outcome {
	t.Helper()
	groups := []load.AwayTimes{{P50: 0.7, P99: 0.9, Max: 1.2}, {P50: 2.5, P99: 4.75, Max: 5}, {}}
	planned.Away, fault.Away = groups[0], groups[1]
	text, err := json.Marshal(load.Result{Live: &load.LiveResult{Events: []load.LiveEvent{
		{}, {Seconds: 10, LiveCounts: planned, Groups: groups}, {Seconds: 20, LiveCounts: fault, Groups: groups},
	}}})
	require.NoError(t, err)
	rows := []row{
		{event: rollingUpdate(), began: time.Unix(1000, 0), took: 61 * time.Second},
		{event: killGateway(), began: time.Unix(1061, 0), took: 4 * time.Second},
	}
	o, err := newOutcome(&test{acceptRate: 201, seed: 7, watch: &watch{}}, rows, text)
	require.NoError(t, err)
	return o
}

func TestTableHasALineForEachEvent(t *testing.T) {
	t.Parallel()
	o := outcomeOf(t, load.LiveCounts{Returns: 2700, PeakReturnsPerSecond: 110},
		load.LiveCounts{Returns: 500, Refused: 30})
	golden.File(t, "testdata/table.md", o.markdown())
	require.Empty(t, o.missed(), "a fault may refuse clients")
	require.Equal(t, time.Unix(990, 0), o.startedAt())
}

func TestMissedGoalsAreNamed(t *testing.T) {
	t.Parallel()
	o := outcomeOf(t, load.LiveCounts{Refused: 3, Gone: 1}, load.LiveCounts{
		Lost: 2, Duplicated: 4, Reordered: 5, FalselyRecovered: 6,
	})
	o.result.Failures = []string{"the server is gone"}
	o.result.Live.AwayAtEnd = 8
	var missed []string
	for _, err := range o.missed() {
		missed = append(missed, err.Error())
	}
	require.Equal(t, []string{
		"the server is gone",
		"rolling update: 1 clients gone", "rolling update: 3 attempts refused",
		"SIGKILL of a gateway: 2 messages lost", "SIGKILL of a gateway: 6 messages falsely recovered",
		"SIGKILL of a gateway: 4 messages twice", "SIGKILL of a gateway: 5 messages reordered",
		"8 clients are not back at the end",
	}, missed)

	o.rows[1].event = killRedis()
	require.Len(t, o.missed(), 7, "Redis had the messages that were lost")
}

func TestResultWithOtherEventsIsRefused(t *testing.T) {
	t.Parallel()
	_, err := newOutcome(&test{}, []row{{}}, []byte(`{"failures": ["no route"], "live": {"events": [{}]}}`))
	require.ErrorContains(t, err, "has not counted 1 events: [no route]")
	_, err = newOutcome(&test{}, nil, []byte("panic"))
	require.ErrorContains(t, err, "panic")
}

func TestEventsAreOverWhenTheFleetIsAtRest(t *testing.T) {
	t.Parallel()
	serving := func(size int, pods ...string) status {
		s := status{Ready: len(pods), Size: size}
		for _, pod := range pods {
			s.Gateways = append(s.Gateways, gateway{Pod: pod, State: "serving"})
		}
		return s
	}
	before := serving(2, "a", "b")
	require.True(t, atRest(before, before))
	require.False(t, replaced(before, before))
	require.False(t, replaced(before, serving(2, "b", "c")))
	require.True(t, replaced(before, serving(2, "c", "d")))
	require.False(t, size(1)(before, before))
	require.True(t, size(1)(before, serving(1, "a")))

	draining := serving(2, "a", "b", "c")
	draining.Gateways[2].State = "draining"
	require.False(t, atRest(before, draining))
	require.Equal(t, []string{"c"}, draining.in("draining"))
	rebalancing := serving(2, "a", "b")
	rebalancing.Conditions = append(rebalancing.Conditions, struct{ Type, Status, Reason, Message string }{})
	require.False(t, atRest(before, rebalancing))
}

func TestRestBeginsAtTheFirstLookOfTheLastThatFit(t *testing.T) {
	t.Parallel()
	var looks []look
	for second, ready := range []int{5, 4, 5, 5} {
		looks = append(looks, look{time.Unix(int64(second), 0), status{Ready: ready}})
	}
	fits := func(s status) bool { return s.Ready == 5 }
	require.Equal(t, time.Unix(2, 0), since(looks, fits))
	require.Zero(t, since(looks[:2], fits))
	require.Zero(t, since(nil, fits))
}

func TestScaleInIsSeenByTheReasonOfADrain(t *testing.T) {
	t.Parallel()
	var s status
	require.NoError(t, json.Unmarshal([]byte(`{"gateways": [
		{"pod": "a", "state": "draining", "drain": {"reason": "preStop"}}, {"pod": "b", "state": "serving"}]}`), &s))
	require.False(t, s.scalesIn())
	s.Gateways[0].Drain.Reason = "scale-in"
	require.True(t, s.scalesIn())
}
