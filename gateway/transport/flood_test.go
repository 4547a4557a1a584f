package transport_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// limitCounter is an Observer that counts what the limits refuse.
type limitCounter struct {
	discardObserver
	accepted, limited, evicted, dropped atomic.Int64
}

func (o *limitCounter) ConnectionAccepted(string) { o.accepted.Add(1) }

func (o *limitCounter) ConnectionRefused(reason string) {
	switch reason {
	case "rate":
		o.limited.Add(1)
	case "handshake_crowd":
		o.evicted.Add(1)
	}
}

func (o *limitCounter) ClientDropped(reason string) {
	if reason == "rate" {
		o.dropped.Add(1)
	}
}

// Handshakes are accepted at the rate and no faster. A connected client is served meanwhile.
func TestConnectRateHoldsInAFlood(t *testing.T) {
	const (
		perSecond = 20
		flooders  = 8
		talks     = 300
	)
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		seen := &limitCounter{}
		began := time.Now()
		_, url := serveEcho(t, driver, func(o *transport.Options) { o.ConnectRate, o.Observer = perSecond, seen })
		client := connect(t, url)
		client.write(upgrade + hi)
		client.requireEcho()

		stop := make(chan struct{})
		var flood sync.WaitGroup
		for range flooders {
			flood.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						tryHandshake(t, url)
					}
				}
			})
		}
		slowest := time.Duration(0)
		for n := 0; n < talks || seen.limited.Load() < 500; n++ {
			said := time.Now()
			require.NoError(t, client.SetDeadline(said.Add(waitTimeout)))
			client.write(hi)
			frame := make([]byte, 4)
			_, err := io.ReadFull(client.in, frame)
			require.NoError(t, err)
			slowest = max(slowest, time.Since(said))
		}
		close(stop)
		flood.Wait()
		maxAccepted := int64(perSecond*time.Since(began).Seconds()) + perSecond + 1
		require.LessOrEqual(t, seen.accepted.Load(), maxAccepted)
		t.Logf("%d accepted, %d refused; the slowest echo took %v", seen.accepted.Load(), seen.limited.Load(), slowest)
	})
}

// tryHandshake sends a handshake, and checks that it is accepted or refused with 503.
func tryHandshake(t *testing.T, url string) {
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		// The listener's backlog is full.
		return
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(waitTimeout))
	if _, err := io.WriteString(nc, upgrade); err != nil {
		return
	}
	head, err := bufio.NewReader(nc).ReadString('\n')
	if err == nil && !strings.Contains(head, " 101 ") && !strings.Contains(head, " 503 ") {
		t.Errorf("the answer is %q", head)
	}
}

// The messages within the rate are answered before the close. Pings count like messages.
func TestMessageRateClosesAfterAllowedMessages(t *testing.T) {
	const perSecond = 5
	for name, c := range map[string]struct{ frame, answer string }{
		"messages": {hi, "\x81\x02hi"},
		"pings":    {"\x89\x82\x00\x00\x00\x00hi", "\x8a\x02hi"},
	} {
		t.Run(name, func(t *testing.T) {
			onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
				seen := &limitCounter{}
				began := time.Now()
				s, url := serveEcho(t, driver, func(o *transport.Options) { o.MessageRate, o.Observer = perSecond, seen })
				p := connect(t, url)
				p.write(upgrade + strings.Repeat(c.frame, 20*perSecond))
				status, _ := p.readResponse()
				require.Equal(t, http.StatusSwitchingProtocols, status)
				all, err := io.ReadAll(p.in)
				require.NoError(t, err)
				answers, goodbye, found := strings.Cut(string(all), "\x88")
				require.True(t, found)
				require.Equal(t, "\x03\xf0message rate", goodbye[1:])
				count := strings.Count(answers, c.answer)
				require.Len(t, answers, count*len(c.answer))
				require.GreaterOrEqual(t, count, perSecond)
				require.LessOrEqual(t, count, perSecond+int(perSecond*time.Since(began).Seconds())+1)
				require.Eventually(t, func() bool { return s.Open() == 0 }, waitTimeout, time.Millisecond)
				require.Equal(t, int64(1), seen.dropped.Load())
			})
		})
	}
}
