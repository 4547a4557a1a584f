package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// tailReader reads an answer of the private port's stream.
type tailReader struct {
	t     *testing.T
	lines *bufio.Scanner
}

// tail follows a channel until the test ends.
func (r *testGateway) tail(t *testing.T, query string) tailReader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.AdminAddr()+contract.PathTail+query,
		http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer s3cret")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "application/x-ndjson", response.Header.Get("Content-Type"))
	return tailReader{t, bufio.NewScanner(response.Body)}
}

// next returns the next line.
func (r tailReader) next() (line contract.TailLine) {
	r.t.Helper()
	require.True(r.t, r.lines.Scan(), "%v", r.lines.Err())
	require.NoError(r.t, json.Unmarshal(r.lines.Bytes(), &line))
	return line
}

func TestAdminPortStreamsAChannel(t *testing.T) {
	t.Parallel()
	g := start(t, withAdminToken(t))
	tail := g.tail(t, "?channel=news")
	require.Equal(t, "news", tail.next().Started.Channel)
	g.dial(t, "/ws?channel=news").text("hello")
	got := tail.next().Publication
	require.JSONEq(t, `"hello"`, string(got.Data))
	require.NotEmpty(t, got.Client)

	g.stop()
	require.Contains(t, tail.next().Ended, "the gateway ends")
	require.False(t, tail.lines.Scan(), "that was the last line")
	g.ended(t)
}

func TestAdminPortRefusesToStream(t *testing.T) {
	t.Parallel()
	g := start(t, withAdminToken(t))
	for query, want := range map[string]string{
		"":                        "channel: give the name of a channel",
		"?channel=a&history=-1":   "history: give a number from 0 to 1000",
		"?channel=a&history=1001": "history: give a number from 0 to 1000",
		"?channel=a&history=x":    "history: give a number from 0 to 1000",
		"?channel=a&history=1":    "history: the channel's rule has no history: leave it out",
		"?channel=%00":            "channel: ",
	} {
		got := g.admin(t, "GET", "/tail"+query, "Authorization", "Bearer s3cret")
		require.Equal(t, http.StatusBadRequest, got.status, query)
		require.Contains(t, got.body, want)
	}
	require.Equal(t, http.StatusUnauthorized, g.admin(t, "GET", "/tail?channel=a").status)
	require.Equal(t, http.StatusForbidden, start(t).admin(t, "GET", "/tail?channel=a").status, "a port without tokens")
}
