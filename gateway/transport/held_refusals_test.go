package transport_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// serveRefusing runs a server that refuses each handshake, after a delay of at most longest.
func serveRefusing(
	t *testing.T, longest time.Duration, refusal transport.Refusal, change ...func(*transport.Options),
) (*transport.Server, string) {
	t.Helper()
	return serveEcho(t, append(change, func(o *transport.Options) {
		o.RefusalDelay = longest
		o.Admit = func() *transport.Refusal { return &refusal }
	})...)
}

// busy is a refusal for a moment.
func busy() transport.Refusal {
	return transport.Refusal{
		Status: http.StatusServiceUnavailable, Reason: "full", Message: "later", RetryAfter: time.Second,
	}
}

func TestRefusalIsHeldBack(t *testing.T) {
	const longest = 300 * time.Millisecond
	final := busy()
	final.Status, final.RetryAfter = http.StatusForbidden, 0
	elsewhere := busy()
	elsewhere.AnotherServes = true
	cookie := func(o *transport.Options) { o.Affinity = &transport.AffinityCookie{Name: "route", Path: "/"} }
	trusted := func(o *transport.Options) {
		o.Proxies = transport.Proxies{netip.MustParsePrefix("127.0.0.0/8")}
	}
	withCookie := strings.Replace(upgrade, "Host: x\r\n", "Host: x\r\nCookie: a=b; route=one\r\n", 1)
	for name, c := range map[string]struct {
		refusal transport.Refusal
		request string
		change  func(*transport.Options)
		held    bool
	}{
		"for a moment":                        {busy(), upgrade, nil, true},
		"for good":                            {final, upgrade, nil, false},
		"from a proxy":                        {busy(), upgrade, trusted, true},
		"while others serve":                  {elsewhere, upgrade, cookie, true},
		"while others serve, from a proxy":    {elsewhere, upgrade, trusted, false},
		"while others serve, with the cookie": {elsewhere, withCookie, cookie, false},
		"with a cookie that is not ours":      {elsewhere, withCookie, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
				change := []func(*transport.Options){driver}
				if c.change != nil {
					change = append(change, c.change)
				}
				s, url := serveRefusing(t, longest, c.refusal, change...)
				p := connect(t, url)
				began := time.Now()
				p.write(c.request)
				if c.held {
					require.Eventually(t, func() bool { return s.HeldRefusals() == 1 }, waitTimeout, time.Millisecond)
				}
				status, body := p.readResponse()
				require.Equal(t, c.refusal.Status, status)
				require.Equal(t, "later\n", body)
				if c.held {
					require.GreaterOrEqual(t, time.Since(began), longest/2)
				}
				p.requireClosed()
				require.Eventually(t, func() bool { return s.HeldRefusals() == 0 }, waitTimeout, time.Millisecond)
			})
		})
	}
}

// While connections leave places free, refusals are held there too, but in those that clients may take meanwhile.
func TestHeldRefusalsUseFreePlaces(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*transport.Options)
		held   int
	}{
		"places beyond the rate": {func(o *transport.Options) { o.ConnectRate = 249 }, 2 + 4},
		"no more than the rate":  {func(o *transport.Options) { o.ConnectRate = 250 }, 2},
		"no rate":                {func(o *transport.Options) { o.ConnectRate = 0 }, 2},
		"blocking":               {func(o *transport.Options) { o.ConnectRate, o.Blocking = 249, true }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			// Of the 1,000 places clients may take those of 4 s: a second's worth at once, and 3 s until the answer.
			s, url := serveRefusing(t, 3*time.Second, busy(), c.change, func(o *transport.Options) {
				o.MaxHandshakes, o.Header = 2, http.Header{}
			})
			for range c.held {
				connect(t, url).write(upgrade)
			}
			require.Eventually(t, func() bool { return s.HeldRefusals() == c.held }, time.Second, time.Millisecond)
			beyond := connect(t, url)
			began := time.Now()
			beyond.write(upgrade)
			beyond.readResponse()
			require.Less(t, time.Since(began), time.Second, "it is answered at once")
		})
	}
}

// A held refusal costs a place, of which there are not many. Clients beyond are answered at once, and one that leaves
// gives its place back.
func TestHeldRefusalsAreBounded(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		s, url := serveRefusing(t, time.Hour, busy(), driver, func(o *transport.Options) { o.MaxHandshakes = 2 })
		var held []*rawClient
		for range 2 {
			p := connect(t, url)
			p.write(upgrade)
			held = append(held, p)
		}
		require.Eventually(t, func() bool { return s.HeldRefusals() == 2 }, waitTimeout, time.Millisecond)
		beyond := connect(t, url)
		beyond.write(upgrade)
		status, _ := beyond.readResponse()
		require.Equal(t, http.StatusServiceUnavailable, status)

		require.NoError(t, held[0].Close())
		require.Eventually(t, func() bool { return s.HeldRefusals() == 1 }, waitTimeout, time.Millisecond)

		s.ReleaseRefusals()
		status, _ = held[1].readResponse()
		require.Equal(t, http.StatusServiceUnavailable, status, "the server ends")
		require.Eventually(t, func() bool { return s.HeldRefusals() == 0 }, waitTimeout, time.Millisecond)
		after := connect(t, url)
		after.write(upgrade)
		status, _ = after.readResponse()
		require.Equal(t, http.StatusServiceUnavailable, status)
	})
}
