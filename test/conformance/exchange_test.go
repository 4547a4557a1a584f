package conformance

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

// exchange is one connection of a foreign peer: the URL, the steps, and the outcome that the test expects. A peer
// receives the exported fields as JSON, carries out the steps and answers with the outcome.
type exchange struct {
	URL string `json:"url"`
	// Page is the web page that a browser connects from, and the Origin that other peers send. When it is empty, a browser
	// uses a page that the gateway allows, and other peers send no Origin.
	Page         string   `json:"page,omitempty"`
	Subprotocols []string `json:"subprotocols,omitempty"`
	// Compress offers permessage-deflate. A browser always does.
	Compress bool   `json:"compress,omitempty"`
	Steps    []step `json:"steps"`

	section, name string
	// needs are the abilities that the exchange needs of its peer.
	needs ability
	want  outcome
}

// step is one action of a peer.
type step struct {
	// Do is send, await, ping, rest or close.
	Do string `json:"do"`
	// Kind is text or binary. Fragments is the payload in base64, one element per frame.
	Kind      string   `json:"kind,omitempty"`
	Fragments []string `json:"fragments,omitempty"`
	// Messages is the number of messages that await waits for.
	Messages int `json:"messages,omitempty"`
	// MS is the number of milliseconds of a rest.
	MS     int    `json:"ms,omitempty"`
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// outcome is the result of an exchange as the peer saw it.
type outcome struct {
	Opened bool `json:"opened"`
	// Status of a handshake that was refused, where a peer can see it.
	Status      int       `json:"status"`
	Subprotocol string    `json:"subprotocol"`
	Extensions  string    `json:"extensions"`
	Messages    []message `json:"messages"`
	// Pings came from the gateway, where a peer can see them; Pongs are the gateway's answers.
	Pings int `json:"pings"`
	Pongs int `json:"pongs"`
	// Code of the gateway's close frame, 1006 when the connection ended without one.
	Code   int    `json:"code"`
	Reason string `json:"reason"`
	// Failure is why a peer could not carry out the steps.
	Failure string `json:"failure"`
}

// message is a received message with its payload in base64.
type message struct {
	Kind string `json:"kind"`
	Data string `json:"data"`
}

// ability is a set of features that not every browser has.
type ability int

const (
	fragmenting ability = 1 << iota
	pinging
	// closingFreely is the ability to close with codes below 3000 other than 1000.
	closingFreely
	// choosingCompression is the ability to connect without an offer to compress.
	choosingCompression
)

// peer is a WebSocket implementation that carries out exchanges.
type peer struct {
	name    string
	can     ability
	perform func(ctx context.Context, e exchange) (outcome, error)
}

func send(kind string, fragments ...string) step {
	s := step{Do: "send", Kind: kind}
	for _, f := range fragments {
		s.Fragments = append(s.Fragments, base64.StdEncoding.EncodeToString([]byte(f)))
	}
	return s
}

func await(messages int) step { return step{Do: "await", Messages: messages} }

func closeStep(code int, reason string) step { return step{Do: "close", Code: code, Reason: reason} }

func wantMessage(kind, payload string) message {
	return message{kind, base64.StdEncoding.EncodeToString([]byte(payload))}
}

// echoes returns an exchange that sends messages, expects them back and closes with 1000.
func echoes(section, name string, sends ...step) exchange {
	e := exchange{section: section, name: name, want: outcome{Opened: true, Code: 1000}}
	for _, s := range sends {
		e.Steps = append(e.Steps, s)
		if s.Do != "send" {
			continue
		}
		var payload strings.Builder
		for _, f := range s.Fragments {
			b, _ := base64.StdEncoding.DecodeString(f)
			payload.Write(b)
		}
		if len(s.Fragments) > 1 {
			e.needs |= fragmenting
		}
		e.want.Messages = append(e.want.Messages, wantMessage(s.Kind, payload.String()))
	}
	e.Steps = append(e.Steps, await(len(e.want.Messages)), closeStep(1000, ""))
	return e
}

// exchanges returns the exchanges that all peers carry out.
func exchanges() []exchange {
	var out []exchange
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, limit} {
		for _, kind := range []string{"text", "binary"} {
			out = append(out, echoes("5.2", kind+" of "+strconv.Itoa(n)+" bytes", send(kind, strings.Repeat("x", n))))
		}
	}
	out = append(out,
		echoes("5.4", "two fragments", send("text", "hel", "lo")),
		echoes("5.4", "ten fragments", send("binary", strings.Split("0123456789", "")...)),
		echoes("5.4", "large fragments", send("binary", strings.Repeat("a", 30_000), strings.Repeat("b", 30_000))),
		echoes("5.4", "a character over two fragments", send("text", "gr\xc3", "\xbc\xc3\x9fe")),
		echoes("5.4", "fragments between whole messages", send("text", "a"), send("text", "b", "c"), send("text", "d")),
	)
	pings := echoes("5.5", "pings of the peer are answered", send("text", "before"), step{Do: "ping"}, step{Do: "ping"},
		send("text", "after"))
	pings.needs, pings.want.Pongs = pinging, 2
	out = append(out, pings, ordered(1000), echoes("5.6", "binary of every byte", send("binary", everyByte())))
	for name, good := range goodTexts {
		out = append(out, echoes("8.1", name, send("text", good)))
	}
	out = append(out, exchange{
		section: "10.4", name: "one byte above the limit", Steps: []step{send("binary", strings.Repeat("x", limit+1))},
		want: outcome{Opened: true, Code: 1009, Reason: "limit"},
	})
	return append(out, endings()...)
}

// ordered returns an exchange that sends messages without waiting for any.
func ordered(n int) exchange {
	var sends []step
	for i := range n {
		sends = append(sends, send([]string{"text", "binary"}[i%2], "message "+strconv.Itoa(i)))
	}
	return echoes("5.6", strconv.Itoa(n)+" back to back, in order", sends...)
}

func everyByte() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

// endings returns the exchanges about closing, RFC 6455 section 7, from both sides.
func endings() []exchange {
	var out []exchange
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 3999, 4000, 4999} {
		e := exchange{
			section: "7",
			name:    "the peer closes with " + strconv.Itoa(code),
			Steps:   []step{closeStep(code, "reason")},
			want:    outcome{Opened: true, Code: code},
		}
		if code != 1000 && code < 3000 {
			e.needs = closingFreely
		}
		out = append(out, e)
	}
	return append(out,
		exchange{
			section: "7",
			name:    "the peer closes without a code",
			Steps:   []step{closeStep(0, "")},
			want:    outcome{Opened: true, Code: noCode},
		},
		exchange{
			section: "7",
			name:    "the peer closes with the longest reason",
			Steps:   []step{closeStep(4000, strings.Repeat("ü", 61)+"r")},
			want:    outcome{Opened: true, Code: 4000},
		},
		exchange{
			section: "7",
			name:    "the gateway closes a listener that talks",
			URL:     "&channel=second",
			Steps:   []step{send("text", "to nowhere")},
			want:    outcome{Opened: true, Code: 1008, Reason: "publish"},
		},
		exchange{
			section: "7",
			name:    "the gateway closes for the protocol",
			URL:     contract.PathCentrifuge,
			Steps:   []step{send("text", "no command")},
			want:    outcome{Opened: true, Code: 3501, Reason: "bad request"},
		},
	)
}

// withPeer runs all exchanges with one peer.
func (s *suite) withPeer(t *testing.T, p peer) {
	for _, e := range exchanges() {
		s.exchanged(t, p, s.gateway, e)
	}
	s.subprotocols(t, p)
	s.origins(t, p)
	s.pinged(t, p)
	s.drained(t, p)
	s.compressedWith(t, p)
}

// exchanged runs one exchange of a peer with a gateway and checks the outcome.
func (s *suite) exchanged(t *testing.T, p peer, g *process.Gateway, e exchange) {
	t.Helper()
	if e.needs&^p.can != 0 {
		s.tally.addImpossible(p.name, e.section)
		return
	}
	s.run(t, p.name, e.section, e.name, func(t *testing.T) {
		path := e.URL
		if !strings.HasPrefix(path, "/") {
			path = channelOf(t) + path
		}
		e.URL = "ws://" + g.Addr + path
		ctx, cancel := context.WithTimeout(t.Context(), 2*timeout)
		defer cancel()
		got, err := p.perform(ctx, e)
		require.NoError(t, err)
		judge(t, p, e.want, got)
	})
}

// judge compares an outcome with the expected one. A reason only has to contain the expected words.
func judge(t *testing.T, p peer, want, got outcome) {
	t.Helper()
	require.Empty(t, got.Failure)
	require.Equal(t, want.Opened, got.Opened)
	require.Len(t, got.Messages, len(want.Messages))
	for i, m := range want.Messages {
		require.True(t, m == got.Messages[i], "message %d: want %.60v, got %.60v", i, m, got.Messages[i])
	}
	require.Equal(t, want.Subprotocol, got.Subprotocol)
	// A browser reports only the name of the extension.
	require.Equal(t, want.Extensions == "", got.Extensions == "", got.Extensions)
	require.True(t, strings.HasPrefix(got.Extensions, want.Extensions), got.Extensions)
	require.Equal(t, want.Pongs, got.Pongs)
	if p.can&pinging != 0 {
		require.GreaterOrEqual(t, got.Pings, want.Pings)
	}
	if want.Status != 0 && got.Status != 0 {
		require.Equal(t, want.Status, got.Status)
	}
	if want.Opened {
		require.Equal(t, want.Code, got.Code, got.Reason)
		require.Contains(t, got.Reason, want.Reason)
	}
}

// subprotocols runs exchanges about subprotocols, RFC 6455 section 4. Some libraries fail a connection whose
// subprotocol they did not offer.
func (s *suite) subprotocols(t *testing.T, p peer) {
	for _, c := range []struct {
		name    string
		offered []string
		chosen  string
	}{
		{"a subprotocol is chosen", []string{"centrifuge-json"}, "centrifuge-json"},
		{"a subprotocol is chosen among others", []string{"chat", "centrifuge-json"}, "centrifuge-json"},
		{"none offered, none chosen", nil, ""},
	} {
		s.exchanged(t, p, s.gateway, exchange{
			section:      "4",
			name:         c.name,
			URL:          contract.PathCentrifuge,
			Subprotocols: c.offered,
			Steps:        []step{closeStep(1000, "")},
			want:         outcome{Opened: true, Subprotocol: c.chosen, Code: 1000},
		})
	}
	s.exchanged(t, p, s.gateway,
		exchange{section: "4", name: "no channel is refused", URL: contract.PathPlain, want: outcome{Status: 400}})
}

// origins runs exchanges about the Origin header, RFC 6455 section 10.2.
func (s *suite) origins(t *testing.T, p peer) {
	own := "http://" + s.gateway.Addr
	for _, c := range []struct {
		name, page string
		want       outcome
	}{
		{"a page of the gateway's host may connect", own, outcome{Opened: true, Code: 1000}},
		{"a page of an allowed origin may connect", s.allowed, outcome{Opened: true, Code: 1000}},
		{"a page of a foreign origin may not", s.foreign, outcome{Status: 403}},
	} {
		s.exchanged(t, p, s.gateway,
			exchange{section: "10.2", name: c.name, Page: c.page, Steps: []step{closeStep(1000, "")}, want: c.want})
	}
}

// pinged runs an idle peer against a gateway that sends pings. The gateway would close a peer that does not answer
// before the rest is over.
func (s *suite) pinged(t *testing.T, p peer) {
	e := echoes("5.5", "the gateway's pings are answered", step{Do: "rest", MS: 4500}, send("text", "still there"))
	e.want.Pings = 1
	s.exchanged(t, p, s.pinging, e)
}

// drained runs a peer that is connected when its gateway stops.
func (s *suite) drained(t *testing.T, p peer) {
	for _, c := range []struct {
		path, reason string
		code         int
	}{
		{channel("drained"), "restart", 1012},
		{contract.PathCentrifuge, "shutdown", 3001},
	} {
		g := s.start(t, "draining")
		stopped := make(chan error, 1)
		go func() {
			_, err := g.Await(t.Context(), func(m process.Metrics) bool { return m[contract.MetricConnections] == 1 })
			if err == nil {
				err = g.Stop()
			}
			stopped <- err
		}()
		s.exchanged(t, p, g,
			exchange{
				section: "7",
				name:    "the gateway goes: " + strconv.Itoa(c.code),
				URL:     c.path,
				want:    outcome{Opened: true, Code: c.code, Reason: c.reason},
			})
		require.NoError(t, <-stopped)
	}
}
