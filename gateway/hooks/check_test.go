package hooks

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckNamesFields(t *testing.T) {
	good := "https://backend.example/hook?x=1"
	for name, test := range map[string]struct {
		o      Options
		fields []string
	}{
		"nothing": {Options{}, nil},
		"everything": {Options{
			Connect:        Callback{URL: good, Timeout: 30 * time.Second, WhenDown: Allow},
			Subscribe:      Callback{URL: "http://10.0.0.1:80"},
			Publish:        Callback{URL: "http://[::1]/", WhenDown: Refuse},
			RPC:            Callback{URL: good, WhenDown: Refuse},
			Secret:         secret,
			ForwardHeaders: []string{"Cookie", "authorization", "X-Any"},
			WebhookURL:     good,
			WebhookEvents:  []string{"connected", "disconnected", "occupied", "vacated"},
		}, nil},
		"credentials":    {Options{Connect: Callback{URL: "http://me:hunter2@backend"}}, []string{"hook-connect-url"}},
		"scheme":         {Options{Subscribe: Callback{URL: "ftp://hunter2"}}, []string{"hook-subscribe-url"}},
		"no scheme":      {Options{Publish: Callback{URL: "hunter2/path"}}, []string{"hook-publish-url"}},
		"no host":        {Options{RPC: Callback{URL: "http:///hunter2"}}, []string{"hook-rpc-url"}},
		"no URL":         {Options{WebhookURL: "http://hunter2\x00"}, []string{"webhook-url"}},
		"space":          {Options{WebhookURL: "http://a/hun ter2"}, []string{"webhook-url"}},
		"port 0":         {Options{WebhookURL: "http://a:0/"}, []string{"webhook-url"}},
		"port above all": {Options{WebhookURL: "http://a:65536/"}, []string{"webhook-url"}},
		"33 headers":     {Options{ForwardHeaders: slices.Repeat([]string{"A"}, 33)}, []string{"hook-forward-headers"}},
		"fragment":       {Options{WebhookURL: "http://a/#hunter2"}, []string{"webhook-url"}},
		"short timeout":  {Options{Connect: Callback{Timeout: 1}}, []string{"hook-timeout"}},
		"long timeouts":  {allCallbacks(Callback{Timeout: time.Hour}), []string{"hook-timeout"}},
		"policy":         {Options{Connect: Callback{WhenDown: "Maybe"}}, []string{"hook-connect-when-down"}},
		"policy of rpc":  {Options{RPC: Callback{URL: good, WhenDown: Allow}}, []string{"hook-rpc-when-down"}},
		"no prefix":      {Options{Secret: "hunter2c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}, []string{"hook-secret"}},
		"no base64":      {Options{Secret: "whsec_hunter2!"}, []string{"hook-secret"}},
		"short key":      {Options{Secret: "whsec_aHVudGVyMg=="}, []string{"hook-secret"}},
		"blank key":      {Options{Secret: " "}, []string{"hook-secret"}},
		"second is bad":  {Options{Secret: secret + " whsec_hunter2"}, []string{"hook-secret"}},
		"events": {Options{WebhookURL: good, WebhookEvents: []string{"occupied", "Connected"}},
			[]string{"webhook-events"}},
		"no webhook-url": {Options{WebhookEvents: []string{"occupied"}}, []string{"webhook-events"}},
		"our header": {
			Options{ForwardHeaders: []string{"Host", "content-type", "Webhook-Signature", "Sec-WebSocket-Key", "a b", ""}},
			[]string{"hook-forward-headers", "hook-forward-headers", "hook-forward-headers", "hook-forward-headers",
				"hook-forward-headers", "hook-forward-headers"}},
		"all of it": {Options{Connect: Callback{URL: "x"}, Secret: "hunter2", WebhookURL: "x"},
			[]string{"hook-connect-url", "hook-secret", "webhook-url"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(test.o)
			_, created := New(test.o)
			require.Equal(t, err, created)
			var fields []string
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, one := range joined.Unwrap() {
					failed, ok := errors.AsType[*FieldError](one)
					require.True(t, ok)
					require.NotEmpty(t, failed.Problem)
					require.NotEmpty(t, failed.Remedy)
					fields = append(fields, failed.Field)
				}
				require.NotContains(t, err.Error(), "hunter2", "it may be a secret")
			}
			require.Equal(t, test.fields, fields)
		})
	}
}
