package conformance

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// handshake is a correct opening handshake with a change, and the allowed answer.
type handshake struct {
	name string
	// request is the request line; empty for a client of the case's own channel.
	request string
	// without drops the lines that begin so, with adds lines, after is sent behind the head.
	without []string
	with    []string
	after   string
	// status lists the allowed statuses; empty for 101.
	status []int
	// header lists the headers that the answer must have. A header with an empty value must be absent.
	header map[string]string
}

// line returns the beginning of a header's line in the correct handshake.
const (
	hostLine       = "Host:"
	upgradeLine    = "Upgrade:"
	connectionLine = "Connection:"
	keyLine        = "Sec-WebSocket-Key:"
	versionLine    = "Sec-WebSocket-Version:"
)

// instead returns a handshake with one line replaced.
func instead(name, line, value string, status ...int) handshake {
	return handshake{name: name, without: []string{line}, with: []string{value}, status: status}
}

func handshakes() []handshake {
	return slices.Concat(goodHandshakes(), subprotocols(), notUpgrades(), wrongVersions(), wrongKeys(), notHTTP(),
		tooMuch())
}

// goodHandshakes are the handshakes of RFC 6455 section 4.2.1 that a server must accept.
func goodHandshakes() []handshake {
	none := map[string]string{"Sec-WebSocket-Extensions": "", "Sec-WebSocket-Protocol": ""}
	return []handshake{
		{name: "the example of section 1.3", header: none},
		{
			name:    "header names in lower case",
			without: []string{upgradeLine, connectionLine, keyLine, versionLine},
			with: []string{"upgrade: websocket", "connection: Upgrade", "sec-websocket-key: " + sampleKey,
				"sec-websocket-version: 13"},
		},
		{
			name:    "header names in upper case",
			without: []string{upgradeLine, connectionLine, keyLine, versionLine},
			with: []string{"UPGRADE: websocket", "CONNECTION: Upgrade", "SEC-WEBSOCKET-KEY: " + sampleKey,
				"SEC-WEBSOCKET-VERSION: 13"},
		},
		instead("Upgrade in mixed case", upgradeLine, "Upgrade: WebSocket"),
		instead("Upgrade among others", upgradeLine, "Upgrade: h2c, websocket"),
		instead("Connection in lower case", connectionLine, "Connection: upgrade"),
		instead("Connection in upper case", connectionLine, "Connection: UPGRADE"),
		instead("Connection among others", connectionLine, "Connection: keep-alive, Upgrade"),
		{name: "Connection on two lines", with: []string{"Connection: keep-alive"}},
		instead("no space after the colon", upgradeLine, "Upgrade:websocket"),
		instead("spaces and tabs around the value", keyLine, "Sec-WebSocket-Key: \t "+sampleKey+" \t "),
		{name: "the whole URL in the request", request: "GET http://gateway.example" + channel("absolute") + " HTTP/1.1"},
		{
			name: "cookies, and headers that mean nothing here",
			with: []string{"Cookie: a=b; c=d", "X-Forwarded-For: 10.0.0.1", "Authorization: Basic eA==", "X-Empty:"},
		},
		{name: "a body of no length", with: []string{"Content-Length: 0"}},
		{
			name:   "an unknown extension is not accepted",
			with:   []string{"Sec-WebSocket-Extensions: x-unknown; level=3"},
			header: none,
		},
		{
			name:   "an unknown subprotocol is not chosen",
			with:   []string{"Sec-WebSocket-Protocol: chat"},
			header: none,
		},
	}
}

// subprotocols are the cases of RFC 6455 section 4.2.2, item 5, /subprotocol/.
func subprotocols() []handshake {
	request := "GET " + contract.PathCentrifuge + " HTTP/1.1"
	chosen := map[string]string{"Sec-WebSocket-Protocol": "centrifuge-json"}
	none := map[string]string{"Sec-WebSocket-Protocol": ""}
	return []handshake{
		{
			name:    "the subprotocol that is spoken is chosen",
			request: request,
			with:    []string{"Sec-WebSocket-Protocol: centrifuge-json"},
			header:  chosen,
		},
		{
			name:    "the other encoding is chosen",
			request: request,
			with:    []string{"Sec-WebSocket-Protocol: centrifuge-protobuf, centrifuge-json"},
			header:  map[string]string{"Sec-WebSocket-Protocol": "centrifuge-protobuf"},
		},
		{
			name:    "chosen among others",
			request: request,
			with:    []string{"Sec-WebSocket-Protocol: chat, centrifuge-json ,other"},
			header:  chosen,
		},
		{
			name:    "chosen from the second line",
			request: request,
			with:    []string{"Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: centrifuge-json"},
			header:  chosen,
		},
		{name: "none offered, none chosen", request: request, header: none},
		{name: "none spoken, none chosen", request: request, with: []string{"Sec-WebSocket-Protocol: chat"}, header: none},
		{
			name:    "subprotocols differ by case",
			request: request,
			with:    []string{"Sec-WebSocket-Protocol: Centrifuge-JSON"},
			header:  none,
		},
	}
}

// notUpgrades are requests that are no WebSocket handshakes.
func notUpgrades() []handshake {
	upgrade := map[string]string{"Upgrade": "websocket"}
	needed := func(h handshake) handshake {
		h.status, h.header = []int{426}, upgrade
		return h
	}
	path := channel("x") + " HTTP/1.1"
	return []handshake{
		needed(handshake{name: "no Upgrade", without: []string{upgradeLine}}),
		needed(instead("Upgrade to something else", upgradeLine, "Upgrade: h2c")),
		needed(instead("Upgrade to something longer", upgradeLine, "Upgrade: websockets")),
		needed(instead("Upgrade to nothing", upgradeLine, "Upgrade:")),
		needed(handshake{name: "no Connection", without: []string{connectionLine}}),
		needed(instead("Connection: close", connectionLine, "Connection: close")),
		needed(instead("Connection: keep-alive", connectionLine, "Connection: keep-alive")),
		{name: "POST", request: "POST " + path, status: []int{405}, header: map[string]string{"Allow": "GET"}},
		{name: "PUT", request: "PUT " + path, status: []int{405}},
		{name: "DELETE", request: "DELETE " + path, status: []int{405}},
		{name: "a method in lower case", request: "get " + path, status: []int{400, 405, 501}},
		{name: "no channel", request: "GET /ws HTTP/1.1", status: []int{400}},
		{name: "an empty channel", request: "GET /ws?channel= HTTP/1.1", status: []int{400}},
		{name: "a channel with a control character", request: "GET /ws?channel=a%00b HTTP/1.1", status: []int{400}},
		{name: "a channel that is not UTF-8", request: "GET /ws?channel=%ff HTTP/1.1", status: []int{400}},
		{
			name:    "a channel that is too long",
			request: "GET " + channel(strings.Repeat("c", 256)) + " HTTP/1.1",
			status:  []int{400},
		},
		{
			name:    "publish to a channel that is not subscribed to",
			request: "GET /ws?channel=a&publish=b HTTP/1.1",
			status:  []int{400},
		},
		{name: "a foreign Origin", with: []string{"Origin: https://evil.example"}, status: []int{403}},
		{name: "an Origin without a host", with: []string{"Origin: null"}, status: []int{403}},
		{
			name:   "two Origins",
			with:   []string{"Origin: http://gateway.example", "Origin: http://gateway.example"},
			status: []int{403},
		},
		{name: "the Origin of the same host", with: []string{"Origin: http://gateway.example"}},
		{
			name:    "two tokens",
			request: "GET /ws?channel=a&token=x HTTP/1.1",
			with:    []string{"Authorization: Bearer y"},
			status:  []int{400},
		},
		{name: "a token that is none", with: []string{"Authorization: Bearer x"}, status: []int{401}},
	}
}

// wrongVersions are the cases of RFC 6455 section 4.2.2, item 4, /version/ and section 4.4.
func wrongVersions() []handshake {
	speaks := map[string]string{"Sec-WebSocket-Version": "13"}
	var out []handshake
	for name, value := range map[string]string{
		"8":          "8",
		"12":         "12",
		"14":         "14",
		"0":          "0",
		"empty":      "",
		"13.0":       "13.0",
		"+13":        "+13",
		"013":        "013",
		"thirteen":   "thirteen",
		"two in one": "13, 8",
	} {
		h := instead("version "+name, versionLine, "Sec-WebSocket-Version: "+value, 400, 426)
		h.header = speaks
		out = append(out, h)
	}
	return append(out,
		handshake{name: "no version", without: []string{versionLine}, status: []int{400, 426}, header: speaks},
		handshake{
			name:   "version twice",
			with:   []string{"Sec-WebSocket-Version: 13"},
			status: []int{400, 426},
			header: speaks,
		},
	)
}

// wrongKeys are keys that are not 16 bytes in base64, RFC 6455 section 4.2.1, item 5.
func wrongKeys() []handshake {
	var out []handshake
	for name, value := range map[string]string{
		"empty":                "",
		"of 15 bytes":          "AAAAAAAAAAAAAAAAAAAA",
		"of 17 bytes":          "AAAAAAAAAAAAAAAAAAAAAAA=",
		"no base64":            "this is no base64, sir!!",
		"without padding":      "AAAAAAAAAAAAAAAAAAAAAA",
		"of another alphabet":  "_____________________w==",
		"with something after": sampleKey + "x",
		"with a space in it":   "dGhlIHNhbXBs ZSBub25jZQ==",
		"two in one":           sampleKey + ", " + sampleKey,
	} {
		out = append(out, instead("key "+name, keyLine, "Sec-WebSocket-Key: "+value, 400))
	}
	return append(out,
		handshake{name: "no key", without: []string{keyLine}, status: []int{400}},
		handshake{name: "key twice", with: []string{"Sec-WebSocket-Key: " + sampleKey}, status: []int{400}},
		handshake{name: "two keys", with: []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="}, status: []int{400}},
	)
}

// notHTTP are requests that are not HTTP/1.1, section 4.2.1, item 1, or that a proxy might read in another way.
func notHTTP() []handshake {
	return []handshake{
		{name: "HTTP/1.0", request: "GET " + channel("x") + " HTTP/1.0", status: []int{400, 426, 505}},
		{name: "HTTP/0.9", request: "GET " + channel("x"), status: []int{400, 505}},
		{name: "HTTP/2.0", request: "GET " + channel("x") + " HTTP/2.0", status: []int{400, 505}},
		{name: "HTTP/1.1 in lower case", request: "GET " + channel("x") + " http/1.1", status: []int{400, 505}},
		{name: "no Host", without: []string{hostLine}, status: []int{400}},
		{name: "two Hosts", with: []string{"Host: other.example"}, status: []int{400}},
		instead("a Host with a space", hostLine, "Host: gateway example", 400),
		{name: "no path", request: "GET  HTTP/1.1", status: []int{400}},
		{name: "a request line of one word", request: "GET", status: []int{400}},
		{name: "a path with a space", request: "GET /ws?channel=a b HTTP/1.1", status: []int{400}},
		{name: "a header without a colon", with: []string{"Sec-WebSocket-Protocol chat"}, status: []int{400}},
		{name: "a header without a name", with: []string{": value"}, status: []int{400}},
		{name: "a space before the colon", with: []string{"X-Header : value"}, status: []int{400}},
		{name: "a space in a name", with: []string{"X Header: value"}, status: []int{400}},
		{name: "a NUL in a value", with: []string{"X-Header: a\x00b"}, status: []int{400}},
		{name: "a control character in a value", with: []string{"X-Header: a\x01b"}, status: []int{400}},
		{name: "a carriage return in a value", with: []string{"X-Header: a\rb"}, status: []int{400}},
		{name: "a NUL in a name", with: []string{"X-\x00: a"}, status: []int{400}},
		{name: "a body", with: []string{"Content-Length: 5"}, after: "hello", status: []int{400}},
		{name: "a chunked body", with: []string{"Transfer-Encoding: chunked"}, after: "0\r\n\r\n", status: []int{400}},
		{name: "a body of negative length", with: []string{"Content-Length: -1"}, status: []int{400}},
		{name: "a body of two lengths", with: []string{"Content-Length: 5", "Content-Length: 6"}, status: []int{400}},
		{name: "an unknown encoding", with: []string{"Transfer-Encoding: gzip"}, status: []int{400, 501}},
	}
}

// tooMuch are heads that are too large, RFC 6585 section 5.
func tooMuch() []handshake {
	large := []int{400, 413, 414, 431}
	return []handshake{
		{name: "a header of 40 KiB", with: []string{"X-Header: " + strings.Repeat("x", 40<<10)}, status: large},
		{name: "5000 headers", with: slices.Repeat([]string{"X-Header: x"}, 5000), status: large},
		{name: "a path of 40 KiB", request: "GET " + channel(strings.Repeat("x", 40<<10)) + " HTTP/1.1", status: large},
		{name: "a header of 8 KiB is not too much", with: []string{"Cookie: " + strings.Repeat("x", 8<<10)}},
	}
}

// bytes returns the encoded handshake.
func (h handshake) bytes(t *testing.T) string {
	request := h.request
	if request == "" {
		request = "GET " + channelOf(t) + " HTTP/1.1"
	}
	lines := strings.Split(strings.TrimSuffix(head(request), "\r\n\r\n"), "\r\n")
	lines = slices.DeleteFunc(lines, func(line string) bool {
		return slices.ContainsFunc(h.without, func(name string) bool { return strings.HasPrefix(line, name) })
	})
	return strings.Join(append(lines, h.with...), "\r\n") + "\r\n\r\n" + h.after
}

func (s *rawSuite) handshakes(t *testing.T) {
	run := func(name string, test func(t *testing.T)) { s.run(t, s.peer, "4", name, test) }
	for _, h := range handshakes() {
		run(h.name, func(t *testing.T) { s.shake(t, h) })
	}
	// Only the refusal of a handshake has to end the connection. This may be a browser that requests an icon.
	run("a path that is not there", func(t *testing.T) {
		w := connect(t, s.plain)
		w.send(t, head("GET /nowhere HTTP/1.1"))
		require.Equal(t, http.StatusNotFound, w.response(t).StatusCode)
	})
	run("cut at every byte", func(t *testing.T) {
		whole := head("GET " + channelOf(t) + " HTTP/1.1")
		for i := 1; i < len(whole); i++ {
			w := connect(t, s.plain)
			w.send(t, whole[:i])
			w.send(t, whole[i:])
			accepted(t, w.response(t))
			w.send(t, closing(1000, ""))
			w.ends(t, 1000)
		}
	})
	run("byte by byte", func(t *testing.T) {
		w := connect(t, s.plain)
		for _, b := range []byte(head("GET " + channelOf(t) + " HTTP/1.1")) {
			w.send(t, string([]byte{b}))
		}
		accepted(t, w.response(t))
	})
	run("frames that come with the head", func(t *testing.T) {
		w := connect(t, s.plain)
		w.send(t,
			head("GET "+channelOf(t)+" HTTP/1.1")+frame(fin|text,
				"first")+frame(fin|text, "second")+frame(fin|text, "third")[:4])
		accepted(t, w.response(t))
		w.expect(t, fin|text, "first")
		w.expect(t, fin|text, "second")
		w.send(t, frame(fin|text, "third")[4:])
		w.expect(t, fin|text, "third")
	})
	run("a broken frame that comes with the head", func(t *testing.T) {
		w := connect(t, s.plain)
		w.send(t, head("GET "+channelOf(t)+" HTTP/1.1")+frame(fin|rsv3|text, ""))
		accepted(t, w.response(t))
		w.ends(t, 1002)
	})
	for name, bytes := range map[string]string{
		"TLS":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x5a", 100) + "\r\n\r\n",
		"HTTP/2":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a WebSocket frame": frame(fin|text, "hello") + "\r\n\r\n",
		"zeros":             strings.Repeat("\x00", 200) + "\r\n\r\n",
		"SMTP":              "EHLO gateway.example\r\n\r\n",
	} {
		run("not HTTP but "+name, func(t *testing.T) { s.refuses(t, s.plain, bytes, []int{400, 405, 501, 505}) })
	}
	for name, part := range map[string]string{
		"nothing":     "",
		"half a line": "GET /ws",
		"half a head": "GET " + channel("x") + " HTTP/1.1\r\nHost: x\r\n",
	} {
		run("an end after "+name, func(t *testing.T) {
			w := connect(t, s.plain)
			w.send(t, part)
			w.endWriting(t)
			rest, err := io.ReadAll(w.in)
			require.NoError(t, err)
			if len(rest) > 0 {
				require.Contains(t, string(rest), "HTTP/1.1 400")
			}
		})
	}
}

// slow starts the cases that wait for the gateway's handshake timeout, and returns a function that checks them. Other
// cases run meanwhile.
func (s *rawSuite) slow(t *testing.T) (judge func(t *testing.T)) {
	t.Helper()
	whole := head("GET " + channel("slow") + " HTTP/1.1")
	peers := map[string]*wire{}
	for name, part := range map[string]string{
		"says nothing":                "",
		"stops inside the first line": whole[:10],
		"stops inside the head":       whole[:len(whole)-30],
		"stops before the last byte":  whole[:len(whole)-1],
	} {
		peers[name] = connect(t, s.plain)
		peers[name].send(t, part)
	}
	const drips = "sends a header every moment"
	peers[drips] = connect(t, s.plain)
	peers[drips].send(t, strings.TrimSuffix(whole, "\r\n"))
	stop := drip(peers[drips])
	return func(t *testing.T) {
		t.Helper()
		for name, w := range peers {
			s.run(t, s.peer, "4", "slow: a peer that "+name+" is cut", func(t *testing.T) {
				require.NoError(t, w.SetDeadline(time.Now().Add(timeout)))
				rest, err := io.ReadAll(w.in)
				if name == drips {
					// It depends on what the peer sent last whether it sees an end of stream or a reset.
					stop()
				} else {
					require.NoError(t, err)
				}
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
				if len(rest) > 0 {
					require.Regexp(t, `^HTTP/1\.1 4\d\d `, string(rest), "it may say why")
				}
			})
		}
	}
}

// drip sends header after header until it is stopped or a write fails.
func drip(w *wire) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		every := time.NewTicker(100 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-done:
				return
			case <-every.C:
			}
			if _, err := io.WriteString(w, "X: y\r\n"); err != nil {
				return
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// shake sends one handshake and checks the answer.
func (s *rawSuite) shake(t *testing.T, h handshake) {
	if len(h.status) > 0 {
		response := s.refuses(t, s.plain, h.bytes(t), h.status)
		for name, value := range h.header {
			require.Equal(t, value, response.Header.Get(name), name)
		}
		return
	}
	w := connect(t, s.plain)
	w.send(t, h.bytes(t))
	response := w.response(t)
	accepted(t, response)
	for name, value := range h.header {
		if value == "" {
			require.NotContains(t, response.Header, http.CanonicalHeaderKey(name))
			continue
		}
		require.Equal(t, []string{value}, response.Header.Values(name), name)
	}
	w.send(t, closing(1000, ""))
	w.ends(t, 1000)
}

// accepted checks a 101 answer against RFC 6455 section 4.2.2, item 5.
func accepted(t *testing.T, r *http.Response) {
	t.Helper()
	require.Equal(t, http.StatusSwitchingProtocols, r.StatusCode)
	require.Equal(t, "HTTP/1.1", r.Proto)
	require.Equal(t, []string{sampleAccept}, r.Header.Values("Sec-WebSocket-Accept"))
	require.Equal(t, "websocket", strings.ToLower(strings.Join(r.Header.Values("Upgrade"), ",")))
	require.Equal(t, "upgrade", strings.ToLower(strings.Join(r.Header.Values("Connection"), ",")))
	require.Empty(t, r.Header.Values("Sec-WebSocket-Version"), "only in a refusal")
}

// refuses sends bytes, and expects one of the statuses and then the end of the stream.
func (s *rawSuite) refuses(t *testing.T, address, bytes string, status []int) *http.Response {
	t.Helper()
	w := connect(t, address)
	w.send(t, bytes)
	response := w.response(t)
	require.Contains(t, status, response.StatusCode)
	require.Empty(t, response.Header.Values("Sec-WebSocket-Accept"))
	_, err := w.in.ReadByte()
	require.ErrorIs(t, err, io.EOF, "a refusal ends the connection")
	return response
}
