package serverapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// loadDocument returns the OpenAPI document after it was validated.
func loadDocument(t *testing.T) *openapi3.T {
	t.Helper()
	d, err := openapi3.NewLoader().LoadFromData(document())
	require.NoError(t, err)
	require.NoError(t, d.Validate(t.Context(), openapi3.EnableExamplesValidation()))
	return d
}

func TestOpenAPIHasEveryMethod(t *testing.T) {
	d, a := loadDocument(t), New(Options{})
	want := []string{"GET /api/openapi.json", "GET /api/connections/{id}", "POST /api/connections/{id}",
		"DELETE /api/connections/{id}"}
	for name := range a.methods {
		want = append(want, "POST /api/"+name)
	}
	var have []string
	for path, item := range d.Paths.Map() {
		for method, operation := range item.Operations() {
			have = append(have, method+" "+path)
			require.NotEmpty(t, operation.Summary, path)
			if !strings.Contains(path, "{") && path != "/api/openapi.json" {
				require.Equal(t, strings.TrimPrefix(path, "/api/"), operation.OperationID)
			}
		}
	}
	require.ElementsMatch(t, want, have)

	commands := a.commands()
	schemas := d.Components.Schemas
	for name := range commands {
		require.Contains(t, schemas["Command"].Value.Properties, name)
		require.Contains(t, schemas["Reply"].Value.Properties, name)
	}
	require.Len(t, schemas["Command"].Value.Properties, len(commands))
	require.Len(t, schemas["Reply"].Value.Properties, len(commands)+1)
}

func TestOpenAPIHasEveryField(t *testing.T) {
	schemas := loadDocument(t).Components.Schemas
	for name, v := range map[string]any{
		"PublishRequest":      publishRequest{},
		"BroadcastRequest":    broadcastRequest{},
		"SendRequest":         sendRequest{},
		"Content":             payload{},
		"SubscribeRequest":    subscribeRequest{},
		"UnsubscribeRequest":  unsubscribeRequest{},
		"DisconnectRequest":   disconnectRequest{},
		"RefreshRequest":      refreshRequest{},
		"ConnectionsRequest":  connectionsRequest{},
		"ChannelRequest":      channelRequest{},
		"HistoryRequest":      historyRequest{},
		"ChannelsRequest":     channelsRequest{},
		"BatchRequest":        batchRequest{},
		"Position":            position{},
		"PublishResult":       publishResult{},
		"PublishResponse":     publishResponse{},
		"BroadcastResult":     broadcastResult{},
		"SendResult":          sendResult{},
		"ConnectionsResult":   connectionsResult{},
		"Connection":          Connection{},
		"PresenceResult":      presenceResult{},
		"ClientInfo":          clientInfo{},
		"PresenceStatsResult": presenceStatsResult{},
		"HistoryResult":       historyResult{},
		"Publication":         publication{},
		"ChannelsResult":      channelsResult{},
		"InfoResult":          infoResult{},
		"Node":                nodeInfo{},
		"Error":               apiError{},
	} {
		require.Contains(t, schemas, name)
		var have []string
		for field := range schemas[name].Value.Properties {
			have = append(have, field)
		}
		require.ElementsMatch(t, fields(reflect.TypeOf(v)), have, name)
	}
}

// fields returns the JSON names of a struct's fields, those of embedded structs included.
func fields(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			names = append(names, fields(f.Type)...)
		case name != "":
			names = append(names, name)
		}
	}
	return names
}

func TestOpenAPIHasTheLimits(t *testing.T) {
	schemas := loadDocument(t).Components.Schemas
	field := func(schema, name string) *openapi3.Schema { return schemas[schema].Value.Properties[name].Value }
	require.EqualValues(t, MaxBatchCommands, *field("BatchRequest", "commands").MaxItems)
	require.EqualValues(t, MaxBroadcastChannels, *field("BroadcastRequest", "channels").MaxItems)
	require.InDelta(t, MaxHistory, *field("HistoryRequest", "limit").Max, 0)
	require.InDelta(t, MaxConnections, *field("ConnectionsRequest", "limit").Max, 0)
	require.EqualValues(t, MaxIdempotencyKeyBytes, *schemas["IdempotencyKey"].Value.MaxLength)
	require.EqualValues(t, MaxTags, *schemas["Tags"].Value.MaxProps)
	require.EqualValues(t, MaxTagValueBytes, *schemas["Tags"].Value.AdditionalProperties.Schema.Value.MaxLength)
	require.EqualValues(t, MaxReasonBytes, *schemas["DisconnectReason"].Value.MaxLength)
	require.InDelta(t, MaxDisconnectCode, *schemas["DisconnectCode"].Value.Max, 0)
	require.InDelta(t, maxSeconds, *schemas["ExpireAt"].Value.Max, 0)

	codes := []any{float64(codeInternal), float64(codeUnauthorized), float64(codeForbidden), float64(codeNotFound),
		float64(codeLimitExceeded), float64(codeBadRequest), float64(codeNotAvailable), float64(codeUnrecoverable)}
	require.ElementsMatch(t, codes, field("Error", "code").Enum)
}

func TestOpenAPINeedsNoKey(t *testing.T) {
	a := New(Options{})
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(method, "/api/openapi.json", nil))
		require.Equal(t, http.StatusOK, w.Code)
		body, err := io.ReadAll(w.Body)
		require.NoError(t, err)
		require.True(t, slices.Equal(document(), body))
	}
}
