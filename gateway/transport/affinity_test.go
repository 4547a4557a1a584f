package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// setCookies returns the values of Set-Cookie in the response to a handshake with these lines, and its status.
func setCookies(t *testing.T, url string, lines ...string) (status int, cookies []string) {
	t.Helper()
	p := connect(t, url)
	p.write(strings.TrimSuffix(upgrade, "\r\n") + strings.Join(append(lines, "", ""), "\r\n"))
	response, err := http.ReadResponse(p.in, nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, response.Header.Values("Set-Cookie")
}

func TestAffinityCookieIsSetInTheResponse(t *testing.T) {
	cookie := transport.AffinityCookie{Name: "ROUTEID", Path: "/chat", Value: ".gw-0"}
	secure, none, passive := cookie, (*transport.AffinityCookie)(nil), cookie
	secure.Secure, passive.Value = true, ""
	const set = "ROUTEID=.gw-0; Path=/chat; HttpOnly"
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		for _, c := range []struct {
			name   string
			cookie *transport.AffinityCookie
			sent   string
			want   []string
		}{
			{"the first handshake", &cookie, "", []string{set}},
			{"another gateway's cookie", &cookie, "Cookie: ROUTEID=.gw-1", []string{set}},
			{"another cookie", &cookie, "Cookie: route=.gw-0", []string{set}},
			{"a cookie that begins alike", &cookie, "Cookie: ROUTEID=.gw-01", []string{set}},
			{"this gateway's cookie", &cookie, "Cookie: ROUTEID=.gw-0", nil},
			{"this gateway's cookie among others", &cookie, "Cookie: a=b; ROUTEID=.gw-0; c=d", nil},
			{"over TLS only", &secure, "", []string{set + "; Secure"}},
			{"the proxy sets it", &passive, "", nil},
			{"none", none, "", nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, url := serve(t, func(*http.Request) (transport.Handler, error) { return newTestHandler(), nil }, driver,
					func(o *transport.Options) { o.Affinity = c.cookie })
				lines := []string{}
				if c.sent != "" {
					lines = append(lines, c.sent)
				}
				status, cookies := setCookies(t, url, lines...)
				require.Equal(t, http.StatusSwitchingProtocols, status)
				require.Equal(t, c.want, cookies)
			})
		}
	})
}

// Only refusals for which another gateway may be better send the client there.
func TestAffinityCookieExpiresInRefusals(t *testing.T) {
	const expired = "ROUTEID=; Path=/; Max-Age=0; HttpOnly"
	accept := func(*http.Request) (transport.Handler, error) { return newTestHandler(), nil }
	forbid := func(*http.Request) (transport.Handler, error) {
		return nil, &transport.Refusal{Status: http.StatusForbidden, Reason: "permission"}
	}
	for _, value := range []string{"", ".gw-0"} {
		affinity := func(o *transport.Options) {
			o.MaxConnections = 2
			o.Affinity = &transport.AffinityCookie{Name: "ROUTEID", Path: "/", Value: value}
		}
		_, url := serve(t, forbid, affinity)
		status, cookies := setCookies(t, url)
		require.Equal(t, http.StatusForbidden, status)
		require.Empty(t, cookies, "another gateway would say the same")

		_, url = serve(t, accept, affinity, func(o *transport.Options) { o.MaxConnections = 1 })
		dial(t, url)
		status, cookies = setCookies(t, url)
		require.Equal(t, http.StatusServiceUnavailable, status, "full")
		require.Equal(t, []string{expired}, cookies)

		_, url = serve(t, accept, affinity, func(o *transport.Options) { o.ConnectRate = 1 })
		dial(t, url)
		status, cookies = setCookies(t, url)
		require.Equal(t, http.StatusServiceUnavailable, status, "the rate")
		require.Equal(t, []string{expired}, cookies)
	}
}
