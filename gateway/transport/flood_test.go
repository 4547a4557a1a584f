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

// tally counts what limits do.
type tally struct {
	observer
	accepted, limited, crowded, dropped atomic.Int64
}

func (o *tally) ConnectionAccepted(string) { o.accepted.Add(1) }

func (o *tally) ConnectionRefused(reason string) {
	switch reason {
	case "rate":
		o.limited.Add(1)
	case "handshake_crowd":
		o.crowded.Add(1)
	}
}

func (o *tally) ClientDropped(reason string) {
	if reason == "rate" {
		o.dropped.Add(1)
	}
}

// A flood of handshakes gets through at the rate and no faster, and costs no handler; who is connected
// goes on talking meanwhile.
func TestFloodOfHandshakes(t *testing.T) {
	const (
		perSecond = 20
		flooders  = 8
		talks     = 300
	)
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		seen := &tally{}
		began := time.Now()
		_, url := echoing(t, wire, func(o *transport.Options) { o.ConnectRate, o.Observer = perSecond, seen })
		client := connect(t, url)
		client.say(upgrade + hi)
		client.echo()

		stop := make(chan struct{})
		var flood sync.WaitGroup
		for range flooders {
			flood.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						knock(t, url)
					}
				}
			})
		}
		slowest := time.Duration(0)
		for n := 0; n < talks || seen.limited.Load() < 500; n++ {
			said := time.Now()
			require.NoError(t, client.SetDeadline(said.Add(patience)))
			client.say(hi)
			frame := make([]byte, 4)
			_, err := io.ReadFull(client.in, frame)
			require.NoError(t, err)
			slowest = max(slowest, time.Since(said))
		}
		close(stop)
		flood.Wait()
		most := int64(perSecond*time.Since(began).Seconds()) + perSecond + 1
		require.LessOrEqual(t, seen.accepted.Load(), most)
		t.Logf("%d let in, %d refused; the slowest echo took %v", seen.accepted.Load(), seen.limited.Load(), slowest)
	})
}

// knock tries a handshake, and checks that it is let in or told to come back.
func knock(t *testing.T, url string) {
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		// The listener's backlog is full.
		return
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, upgrade); err != nil {
		return
	}
	head, err := bufio.NewReader(nc).ReadString('\n')
	if err == nil && !strings.Contains(head, " 101 ") && !strings.Contains(head, " 503 ") {
		t.Errorf("the answer is %q", head)
	}
}

// What a peer may send is handled, and answered before the close; pings count like messages.
func TestTooManyMessages(t *testing.T) {
	const perSecond = 5
	for name, c := range map[string]struct{ frame, answer string }{
		"messages": {hi, "\x81\x02hi"},
		"pings":    {"\x89\x82\x00\x00\x00\x00hi", "\x8a\x02hi"},
	} {
		t.Run(name, func(t *testing.T) {
			onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
				seen := &tally{}
				began := time.Now()
				s, url := echoing(t, wire, func(o *transport.Options) { o.MessageRate, o.Observer = perSecond, seen })
				p := connect(t, url)
				p.say(upgrade + strings.Repeat(c.frame, 20*perSecond))
				status, _ := p.hear()
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
				require.Eventually(t, func() bool { return s.Open() == 0 }, patience, time.Millisecond)
				require.Equal(t, int64(1), seen.dropped.Load())
			})
		})
	}
}
