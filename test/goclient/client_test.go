package goclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/serverapi/serverapitest"
	"github.com/wsfleet/wsfleet/test/goclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "the-key"

// serve starts the real API on a fake fleet. The client that it returns checks every call against the OpenAPI document.
func serve(t *testing.T) (*goclient.Client, *serverapitest.FakeFleet) {
	t.Helper()
	fleet := serverapitest.NewFakeFleet()
	server := httptest.NewServer(serverapi.New(serverapi.Options{
		Keys:            auth.NewAPIKeys(key, ""),
		Fleet:           fleet,
		MaxMessageBytes: 1000,
		Timeout:         time.Minute,
		CheckChannel:    serverapitest.CheckChannel,
		Served:          func(string, string, time.Duration) {},
		Logger:          slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(server.Close)
	response, err := http.Get(server.URL + "/api/openapi.json")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	document, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	description, err := serverapitest.ReadDescription(document)
	require.NoError(t, err)
	return &goclient.Client{URL: server.URL + "/api", Key: key, HTTP: &http.Client{Transport: description}}, fleet
}

type object = map[string]any

func TestClientCallsMethods(t *testing.T) {
	c, _ := serve(t)
	var published struct {
		Offset   uint64
		Epoch    string
		Repeated bool
	}
	require.NoError(t,
		c.Call(t.Context(), "publish", object{"channel": "kept:a", "data": object{"text": "hello"}}, &published))
	require.EqualValues(t, 1, published.Offset)
	require.NoError(t, c.Call(t.Context(), "broadcast", object{"channels": []string{"kept:a", "b"}, "data": 1}, nil))

	var history struct {
		Publications []struct {
			Offset uint64
			Data   any
		}
	}
	request := object{
		"channel": "kept:a",
		"limit":   10,
		"since":   object{"offset": published.Offset, "epoch": published.Epoch},
	}
	require.NoError(t, c.Call(t.Context(), "history", request, &history))
	require.Len(t, history.Publications, 1)
	require.EqualValues(t, 1, history.Publications[0].Data)

	var sent struct{ Reached int }
	require.NoError(t, c.Call(t.Context(), "send", object{"user": "42", "data": "hi"}, &sent))
	require.Equal(t, 2, sent.Reached)
	require.NoError(t, c.Call(t.Context(), "disconnect", object{"user": "42", "revoke": true}, nil))
}

func TestClientReturnsErrorsOfTheAPI(t *testing.T) {
	c, _ := serve(t)
	for want, err := range map[int]error{
		108: c.Call(t.Context(), "history", object{"channel": "a"}, nil),
		107: c.Call(t.Context(), "publish", object{"channel": 5}, nil),
		104: c.Call(t.Context(), "dance", object{}, nil),
		101: (&goclient.Client{URL: c.URL, Key: "wrong", HTTP: c.HTTP}).Call(t.Context(), "info", object{}, nil),
	} {
		refused, ok := errors.AsType[*goclient.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, want, refused.Code)
		require.Contains(t, err.Error(), fmt.Sprintf("(code %d)", want))
	}
	require.Error(t, c.Call(t.Context(), "publish", object{"data": func() {}}, nil))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Call(ended, "info", object{}, nil), context.Canceled)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	require.ErrorContains(t,
		(&goclient.Client{URL: elsewhere.URL, HTTP: elsewhere.Client()}).Call(t.Context(), "info", object{}, nil),
		"answered 404 Not Found without JSON")
}

func TestClientRetriesWithIdempotencyKey(t *testing.T) {
	c, fleet := serve(t)
	down := true
	fleet.Fail = func(string, string) error {
		if down {
			down = false
			return broker.ErrUnavailable
		}
		return nil
	}
	request := object{"channel": "kept:a", "data": 1, "idempotency_key": "order-42-paid"}
	refused, ok := errors.AsType[*goclient.Error](c.Call(t.Context(), "publish", request, nil))
	require.True(t, ok)
	require.True(t, refused.Temporary)
	var published struct {
		Offset   uint64
		Repeated bool
	}
	for range 2 {
		require.NoError(t, c.Call(t.Context(), "publish", request, &published))
		require.EqualValues(t, 1, published.Offset)
	}
	require.True(t, published.Repeated)
}

func TestClientIsTheOneInTheDocumentation(t *testing.T) {
	source, err := os.ReadFile("client.go")
	require.NoError(t, err)
	documentation, err := os.ReadFile("../../docs/server-api.md")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "// Client calls the server API of one fleet.")
	require.Contains(t, string(documentation), strings.TrimSpace(code))
}
