package plain

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzTarget parses any query: frames go to one of the subscribed channels, and no channel is subscribed to twice.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"channel=a", "channel=a&channel=b&publish=b", "channel=a&channel=a", "channel=&publish=",
		"channel=%ff&publish=%ff", "channel=a;channel=b", "publish=a", "%zz", "channel=a&publish=a&publish=a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		where, err := parseTarget(&http.Request{URL: &url.URL{RawQuery: query}}, nil, "")
		channels, publish := where.channels, where.publish
		if err != nil {
			require.Empty(t, channels)
			return
		}
		require.NotEmpty(t, channels)
		if publish != "" {
			require.Contains(t, channels, publish)
		}
		seen := map[string]bool{}
		for _, channel := range channels {
			require.False(t, seen[channel])
			seen[channel] = true
		}
	})
}

// The personal channel does not keep a client from publishing to the one channel that it names.
func TestParseTargetWithAPersonalChannel(t *testing.T) {
	for name, c := range map[string]struct {
		query   string
		token   []string
		publish string
	}{
		"none named":               {"", []string{"#42"}, "#42"},
		"one named":                {"channel=a", []string{"#42"}, "a"},
		"one named by the token":   {"", []string{"a", "#42"}, "a"},
		"two named":                {"channel=a&channel=b", []string{"#42"}, ""},
		"one named by each":        {"channel=a", []string{"b", "#42"}, ""},
		"named itself":             {"channel=%2342", []string{"#42"}, "#42"},
		"named with another":       {"channel=a&channel=%2342", []string{"#42"}, ""},
		"to the personal one":      {"channel=a&publish=%2342", []string{"#42"}, "#42"},
		"to one of two":            {"channel=a&channel=b&publish=b", []string{"#42"}, "b"},
		"to the only one, by name": {"publish=%2342", []string{"#42"}, "#42"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseTarget(&http.Request{URL: &url.URL{RawQuery: c.query}}, c.token, "#42")
			require.NoError(t, err)
			require.Equal(t, c.publish, got.publish)
			require.Contains(t, got.channels, "#42")
		})
	}
	_, err := parseTarget(&http.Request{URL: &url.URL{}}, nil, "")
	require.Error(t, err, "a client without a personal channel names another one")
	_, err = parseTarget(&http.Request{URL: &url.URL{RawQuery: "publish=%2343"}}, []string{"#42"}, "#42")
	require.Error(t, err)
}
