package serverapi_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
)

// requests returns a valid request of every method and the call of the Fleet that it makes, by the name of the method.
func requests() map[string][2]string {
	return map[string][2]string{
		"publish": {`{"channel":"kept:a","data":1}`, "Publish"}, "subscribe": {`{"user":"42","channel":"a"}`, "Subscribe"},
		"unsubscribe": {`{"user":"42","channel":"a"}`, "Unsubscribe"}, "disconnect": {`{"user":"42"}`, "Disconnect"},
		"refresh": {`{"user":"42"}`, "Refresh"}, "send": {`{"user":"42","data":1}`, "Send"},
		"presence": {`{"channel":"a"}`, "Presence"}, "presence_stats": {`{"channel":"a"}`, "PresenceStats"},
		"history": {`{"channel":"kept:a"}`, "History"}, "history_remove": {`{"channel":"kept:a"}`, "RemoveHistory"},
		"channels": {`{}`, "Channels"}, "info": {`{}`, "Gateways"}, "connections": {`{"user":"42"}`, "Connections"},
	}
}

func TestAPIConvertsErrorsOfTheFleet(t *testing.T) {
	for name, c := range map[string]struct {
		err       error
		code      int
		says      string
		temporary bool
		logged    bool
	}{
		"broker down": {fmt.Errorf("redis 192.0.2.7: %w", broker.ErrUnavailable), 100, "the broker is away; try again",
			true, false},
		"too slow":    {context.DeadlineExceeded, 100, "not done within 10s", true, false},
		"caller left": {context.Canceled, 100, "not done", true, false},
		"key used":    {broker.ErrIdempotencyConflict, 107, "idempotency_key: was used with other data", false, false},
		"not available": {fmt.Errorf("%w: no presence here", serverapi.ErrNotAvailable), 108,
			"not available: no presence here", false, false},
		"unrecoverable": {fmt.Errorf("%w: gone", broker.ErrUnrecoverable), 112, "unrecoverable position: gone", false,
			false},
		"other error": {errors.New("redis 192.0.2.7 said WRONGTYPE"), 100, "internal error; the gateway's log says more",
			false, true},
	} {
		s := serve(t)
		s.fleet.Fail = func(string, string) error { return c.err }
		for method, request := range requests() {
			t.Run(name+", "+method, func(t *testing.T) {
				s.log.Reset()
				got := s.call(t, method, request[0])
				got.requireError(t, http.StatusOK, c.code, c.says)
				require.Equal(t, []string{request[1]}, s.calledMethods())
				require.Equal(t, c.temporary, strings.Contains(got.body, `"temporary":true`), got.body)
				require.NotContains(t, got.body, "192.0.2.7")
				require.Equal(t, c.logged, strings.Contains(s.log.String(), "WRONGTYPE"), s.log.String())
				require.Equal(t, []string{method + " error"}, s.counts())
			})
		}
	}
}

// calledMethods returns the names of the Fleet's methods that were called.
func (s *harness) calledMethods() (names []string) {
	for _, call := range s.fleet.Calls() {
		name, _, _ := strings.Cut(call, " ")
		names = append(names, name)
	}
	return names
}

// panickingFleet is a Fleet whose methods panic.
type panickingFleet struct{ serverapi.Fleet }

func TestAPISurvivesPanicOfMethod(t *testing.T) {
	s := serve(t, func(o *serverapi.Options) { o.Fleet = panickingFleet{} })
	for method, request := range requests() {
		s.call(t, method, request[0]).requireError(t, 200, 100, "internal error")
	}
	require.Contains(t, s.call(t, "broadcast", `{"channels":["a","b"],"data":1}`).body, `{"error":{"code":100,`)
	require.Contains(t, s.call(t, "batch", `{"parallel":true,"commands":[{"info":{}}]}`).body, `{"error":{"code":100,`)
	require.Contains(t, s.log.String(), "a call panicked")
	require.Contains(t, s.log.String(), "goroutine")
}

func TestAPILogsNoKeyAndNoPayload(t *testing.T) {
	const secret = "5ecre7"
	s := serve(t)
	s.fleet.Fail = func(string, string) error { return errors.New("a bug") }
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	for _, body := range []string{`{"channel":"a","data":"` + secret + `"}`, `{"channel":"a","b64data":"` + encoded + `"}`,
		`{"channel":"a","data":1,"tags":{"k":"` + secret + `"}}`, `{"channel":"a","b64data":"` + secret + `!"}`,
		`{"channel":"a","data":1,"skip_history":"` + secret + `"}`, `{"channel":"a","data":` + secret + `}`,
		`{"channel":51423,"data":1}`, `{"channel":"a","data":1,"idempotency_key":"` + secret + `"}`, secret,
		`{"data":"` + secret + `\x`,
	} {
		for _, method := range []string{"publish", "send", "batch", "connections/c1"} {
			got := s.call(t, method, body)
			got.requireNone(t, secret, encoded, "51423", key)
			s.call(t, "batch", `{"commands":[{"publish":`+body+`}]}`).requireNone(t, secret, encoded, "51423", key)
		}
	}
	for _, wrong := range []string{"the-key-", "the-ke"} {
		s.do(t, http.MethodPost, "/api/publish", `{}`, "X-API-Key", wrong).requireNone(t, wrong, key)
		s.do(t, http.MethodPost, "/api/publish", `{}`, "Authorization", "apikey "+wrong).requireNone(t, wrong, key)
	}
	require.Contains(t, s.log.String(), "a bug")
	for _, word := range []string{secret, encoded, key, "the-ke"} {
		require.NotContains(t, s.log.String(), word)
	}
}

// requireNone requires that the body contains none of the words.
func (got apiResponse) requireNone(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		require.NotContains(t, got.body, word)
	}
}
