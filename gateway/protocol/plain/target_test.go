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
		where, err := parseTarget(&http.Request{URL: &url.URL{RawQuery: query}}, nil)
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
