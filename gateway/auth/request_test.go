package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBearerToken(t *testing.T) {
	for name, test := range map[string]struct {
		query   string
		headers []string
		token   string
		ok      bool
		problem string
	}{
		"none":                      {},
		"header":                    {headers: []string{"Bearer abc"}, token: "abc", ok: true},
		"header in lower case":      {headers: []string{"bearer  abc "}, token: "abc", ok: true},
		"query":                     {query: "?channel=a&token=abc", token: "abc", ok: true},
		"both the same":             {query: "?token=abc", headers: []string{"Bearer abc"}, token: "abc", ok: true},
		"both, different":           {query: "?token=abc", headers: []string{"Bearer abd"}, problem: "different tokens"},
		"two in the query":          {query: "?token=abc&token=abd", problem: "different tokens"},
		"two headers":               {headers: []string{"Bearer abc", "Bearer abd"}, problem: "different tokens"},
		"another scheme":            {headers: []string{"Basic YTpi"}},
		"another scheme, and query": {query: "?token=abc", headers: []string{"Basic YTpi"}, token: "abc", ok: true},
		"empty header":              {headers: []string{"Bearer "}, problem: "none in it"},
		"scheme only":               {headers: []string{"Bearer"}, problem: "none in it"},
		"empty parameter":           {query: "?token=", problem: "none in it"},
		"empty parameter, header":   {query: "?token=", headers: []string{"Bearer abc"}, problem: "none in it"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/ws"+test.query, nil)
			for _, h := range test.headers {
				r.Header.Add("Authorization", h)
			}
			token, ok, err := BearerToken(r)
			require.Equal(t, test.token, token)
			require.Equal(t, test.ok, ok)
			if test.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.problem)
			require.NotContains(t, err.Error(), "ab")
		})
	}
}

func TestAPIKeys(t *testing.T) {
	for _, test := range []struct{ current, previous, presented string }{{"new", "old", "new"}, {"new", "old", "old"},
		{"new", "", "new"}, {"", "old", "old"}, {"same", "same", "same"},
		{strings.Repeat("k", 10_000), "", strings.Repeat("k", 10_000)},
	} {
		k := NewAPIKeys(test.current, test.previous)
		require.True(t, k.On())
		require.True(t, k.Match(test.presented), test)
		for _, wrong := range []string{"", test.presented + "x", test.presented[1:], "x" + test.presented, "NEW", "\x00"} {
			require.False(t, k.Match(wrong), "%q", wrong)
		}
	}
	off := NewAPIKeys("", "")
	require.False(t, off.On())
	require.False(t, off.Match(""), "no key is nobody's key")
	require.False(t, off.Match("x"))
}
