package serverapi_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/serverapi/serverapitest"
)

func TestBatchReportsPartialFailure(t *testing.T) {
	const notFound = "method not found; there are batch, broadcast, channels, connections, disconnect, history, " +
		"history_remove, info, presence, presence_stats, publish, refresh, send, subscribe, unsubscribe"
	for _, parallel := range []string{"false", "true"} {
		t.Run("parallel "+parallel, func(t *testing.T) {
			s := serve(t)
			got := s.call(t, "batch", `{"parallel":`+parallel+`,"commands":[
				{"publish":{"channel":"kept:a","data":1}},
				{"publish":{"channel":5}},
				{"history":{"channel":"a"}},
				{"dance":{}},
				{"batch":{"commands":[]}},
				{},
				5,
				{"info":{},"channels":{}},
				{"publish":null,"presence_stats":{"channel":"a"}},
				{"broadcast":{"channels":["b",""],"data":1}}
			]}`)
			require.Equal(t, http.StatusOK, got.status)
			require.JSONEq(t, `{"replies":[
				{"publish":{"offset":1,"epoch":"epoch-1"}},
				{"error":{"code":107,"message":"channel: want a string, not number"}},
				{"error":{"code":108,"message":"not available: the rule of this channel keeps no history"}},
				{"error":{"code":104,"message":"`+notFound+`"}},
				{"error":{"code":104,"message":"`+notFound+`"}},
				{"error":{"code":107,"message":"a command with 0 methods: give exactly one"}},
				{"error":{"code":107,"message":"a command is not an object: give {\"METHOD\": {…}}"}},
				{"error":{"code":107,"message":"a command with 2 methods: give exactly one"}},
				{"presence_stats":{"num_clients":2,"num_users":1}},
				{"broadcast":{"responses":[{"result":{}},{"error":{"code":107,"message":"channel: name must be 1 to 255 bytes"}}]}}
			]}`, got.body)
			counted := s.counts()
			require.Equal(t, "batch ok", counted[len(counted)-1])
			counted = slices.Sorted(slices.Values(counted))
			require.Equal(t, []string{
				"batch ok", "broadcast ok", "history error", "presence_stats ok", "publish ok", "publish refused",
				"unknown error", "unknown error", "unknown refused", "unknown refused", "unknown refused",
			}, counted)
		})
	}
}

func TestBatchRunsInOrder(t *testing.T) {
	s := serve(t)
	var commands, calls []string
	for i := range 100 {
		commands = append(commands, fmt.Sprintf(`{"publish":{"channel":"kept:a","data":%d}}`, i))
		calls = append(calls,
			fmt.Sprintf(`Publish kept:a "%d" binary=false tags=map[] {IdempotencyKey: SkipHistory:false}`, i))
	}
	s.call(t, "batch", `{"commands":[`+strings.Join(commands, ",")+`]}`).requireOK(t)
	require.Equal(t, calls, s.fleet.Calls())
}

// meetingFleet is a Fleet whose calls of Publish wait for each other.
type meetingFleet struct {
	*serverapitest.FakeFleet
	all sync.WaitGroup
}

func (m *meetingFleet) Publish(
	context.Context, string, broker.Publication, serverapi.PublishOptions,
) (broker.PublishResult, error) {
	m.all.Done()
	m.all.Wait()
	return broker.PublishResult{}, nil
}

func TestParallelRunsConcurrently(t *testing.T) {
	for method, body := range map[string]string{
		"broadcast": `{"data":1,"channels":["a","b"]}`,
		"batch": `{"parallel":true,"commands":[{"publish":{"channel":"a","data":1}},` +
			`{"publish":{"channel":"a","data":2}}]}`,
	} {
		t.Run(method, func(t *testing.T) {
			m := &meetingFleet{FakeFleet: serverapitest.NewFakeFleet()}
			m.all.Add(2)
			s := serve(t, func(o *serverapi.Options) { o.Fleet = m })
			s.call(t, method, body).requireOK(t)
		})
	}
}

// stuckFleet is a Fleet whose Publish blocks until its context ends.
type stuckFleet struct{ *serverapitest.FakeFleet }

func (stuckFleet) Publish(
	ctx context.Context, _ string, _ broker.Publication, _ serverapi.PublishOptions,
) (broker.PublishResult, error) {
	<-ctx.Done()
	return broker.PublishResult{}, ctx.Err()
}

func TestAPIReportsTimeout(t *testing.T) {
	s := serve(t)
	fleet := stuckFleet{s.fleet}
	slow := serve(t, func(o *serverapi.Options) { o.Fleet, o.Timeout = fleet, 10*time.Millisecond })
	slow.call(t, "publish", `{"channel":"a","data":1}`).requireError(t, 200, 100, "not done within 10ms; try again")
	require.Contains(t, slow.call(t, "publish", `{"channel":"a","data":1}`).body, `"temporary":true`)

	// The commands of a batch share one timeout, and those after it do not begin.
	got := slow.call(t, "batch", `{"commands":[{"publish":{"channel":"a","data":1}},{"info":{}},{"info":{}}]}`)
	require.Equal(t, 3, strings.Count(got.body, "not done within 10ms"), got.body)
	require.Empty(t, s.fleet.Calls())
	require.Empty(t, slow.log.String())
}

func TestBroadcastReportsPartialFailure(t *testing.T) {
	s := serve(t)
	s.fleet.Fail = func(_, channel string) error {
		if channel == "away" {
			return broker.ErrUnavailable
		}
		return nil
	}
	require.JSONEq(t, `{"responses":[
		{"result":{"offset":1,"epoch":"epoch-1"}},
		{"error":{"code":100,"message":"the broker is away; try again, `+
		`with the same idempotency_key where a message must not come twice","temporary":true}},
		{"error":{"code":107,"message":"channel: name must be 1 to 255 bytes"}},
		{"result":{}}
	]}`, s.result(t, "broadcast", `{"channels":["kept:a","away","","b"],"data":{"x":1}}`))
	require.Len(t, s.fleet.Calls(), 3)
	require.Equal(t, []string{"broadcast ok"}, s.counts())
}
