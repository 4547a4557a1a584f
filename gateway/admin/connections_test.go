package admin

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// asked returns the query that a request makes, and the answer.
func asked(t *testing.T, parameters string) (q *ConnectionQuery, status int, body string) {
	t.Helper()
	o := options(withToken(t, "s3cret"))
	o.Connections = func(given ConnectionQuery) contract.ConnectionList {
		q = &given
		return contract.ConnectionList{}
	}
	got := send(Handler(o), http.MethodGet, contract.PathConnections+"?"+parameters, "s3cret", "")
	return q, got.Code, got.Body.String()
}

func TestConnectionsAreSelectedByParameters(t *testing.T) {
	for parameters, want := range map[string]ConnectionQuery{
		"": {Sort: "age", Limit: 100},
		"user=a%26b&channel=news%3A1&protocol=plain&sort=queued&limit=1000": {
			User: "a&b", Channel: "news:1", Protocol: "plain", Sort: "queued", Limit: 1000,
		},
		"ip=192.0.2.7":        {Network: netip.MustParsePrefix("192.0.2.7/32"), Sort: "age", Limit: 100},
		"ip=::ffff:192.0.2.7": {Network: netip.MustParsePrefix("192.0.2.7/32"), Sort: "age", Limit: 100},
		"ip=2001:db8::1/48":   {Network: netip.MustParsePrefix("2001:db8::/48"), Sort: "age", Limit: 100},
		"sort=user":           {Sort: "user", Limit: 100},
		"sort=ip&limit=1":     {Sort: "ip", Limit: 1},
	} {
		got, status, body := asked(t, parameters)
		require.Equal(t, http.StatusOK, status, body)
		require.Equal(t, want, *got, parameters)
	}
}

func TestConnectionsRefuseBadParameters(t *testing.T) {
	for parameters, want := range map[string]string{
		"limit=0":          "limit: give a number from 1 to 1000",
		"limit=-1":         "limit: give a number from 1 to 1000",
		"limit=1001":       "limit: give a number from 1 to 1000",
		"limit=x":          "limit: give a number from 1 to 1000",
		"sort=size":        "sort: give one of age, user, ip, queued",
		"sort=AGE":         "sort: give one of age, user, ip, queued",
		"ip=localhost":     "ip: give an address like 192.0.2.7, or a network like 192.0.2.0/24",
		"ip=192.0.2.7/33":  "ip: give an address like 192.0.2.7, or a network like 192.0.2.0/24",
		"ip=192.0.2.7:443": "ip: give an address like 192.0.2.7, or a network like 192.0.2.0/24",
	} {
		got, status, body := asked(t, parameters)
		require.Equal(t, http.StatusBadRequest, status, parameters)
		require.JSONEq(t, `{"error":"`+want+`"}`, body)
		require.Nil(t, got, "no connection is looked at")
	}
}
