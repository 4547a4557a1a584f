package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const section7692 = "7692"

// offer is a client's Sec-WebSocket-Extensions header and the allowed answer.
type offer struct {
	name   string
	header []string
	// answered lists the parameters that the answer must have; nil when the gateway declines the offer.
	answered []string
	// malformed is set when the gateway must refuse the handshake.
	malformed bool
}

// noTakeover is in every answer, because an idle connection of the gateway keeps no context, RFC 7692 section 7.1.1.
var noTakeover = []string{"server_no_context_takeover", "client_no_context_takeover"}

// offers are the cases of RFC 7692 section 7.1.
func offers() []offer {
	taken := func(name string, header ...string) offer {
		return offer{name: name, header: header, answered: noTakeover}
	}
	out := []offer{
		taken("alone", "permessage-deflate"),
		taken("with a client's window to choose", "permessage-deflate; client_max_window_bits"),
		taken("with a client's largest window", "permessage-deflate; client_max_window_bits=15"),
		taken("with a client's smallest window", "permessage-deflate; client_max_window_bits=8"),
		taken("with a quoted window", `permessage-deflate; client_max_window_bits="10"`),
		taken("without the server's context", "permessage-deflate; server_no_context_takeover"),
		taken("without any context", "permessage-deflate; client_no_context_takeover; server_no_context_takeover"),
		taken("without spaces", "permessage-deflate;client_max_window_bits;server_no_context_takeover"),
		taken("with spaces and tabs", "  permessage-deflate \t;  client_max_window_bits = 12  "),
		taken("after another extension", "x-webkit-deflate-frame, permessage-deflate"),
		taken("on a second line", "x-unknown; a=1", "permessage-deflate"),
		taken("after one that cannot be kept", "permessage-deflate; server_max_window_bits=9, permessage-deflate"),
		taken("twice", "permessage-deflate, permessage-deflate; client_max_window_bits"),
		{
			name:     "with the server's largest window",
			header:   []string{"permessage-deflate; server_max_window_bits=15"},
			answered: append([]string{"server_max_window_bits=15"}, noTakeover...),
		},
		{name: "none", header: nil},
		{name: "of another extension", header: []string{"permessage-bzip2"}},
		{name: "in an empty header", header: []string{""}},
	}
	for _, parameters := range []string{"server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16",
		"server_max_window_bits=015", "server_max_window_bits=x", "client_max_window_bits=7", "client_max_window_bits=16",
		"client_max_window_bits=08", "client_no_context_takeover=1", "server_no_context_takeover=true", "unknown",
		"unknown=1", "client_max_window_bits; client_max_window_bits=10",
		"server_no_context_takeover; server_no_context_takeover",
	} {
		out = append(out,
			offer{name: "that must be declined: " + parameters, header: []string{"permessage-deflate; " + parameters}})
	}
	for _, broken := range []string{";", "permessage-deflate;", "permessage-deflate; =1", "permessage-deflate; a=",
		`permessage-deflate; a="`, "permessage-deflate client_max_window_bits", "permessage-deflate; a b", "=",
		`permessage-deflate; a="b c"`} {
		out = append(out, offer{name: "against the grammar: " + broken, header: []string{broken}, malformed: true})
	}
	return out
}

// deflated compresses a message, RFC 7692 section 7.2.1.
func deflated(content string, level int) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, content)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), syncTail)
}

const syncTail = "\x00\x00\xff\xff"

// inflated decompresses a message without context.
func inflated(content string) (string, error) {
	whole, err := io.ReadAll(flate.NewReader(strings.NewReader(content + syncTail + "\x01\x00\x00\xff\xff")))
	return string(whole), err
}

// compressedCases returns the cases of RFC 7692 sections 6 and 7.2 on a connection with the extension.
func compressedCases() []rawCase {
	const zip = fin | rsv1
	good := func(name, sends string, back ...received) rawCase {
		return rawCase{section: section7692, name: name, sends: sends, echoes: back}
	}
	broken := func(name, sends string, code int) rawCase {
		return rawCase{section: section7692, name: name, sends: sends, code: code}
	}
	hello, random := deflated("Hello", flate.DefaultCompression), noise(limit)
	zeros := func(n int) string { return deflated(strings.Repeat("\x00", n), flate.BestCompression) }
	out := []rawCase{
		good("one block, section 7.2.3.1", frame(zip|text, "\xf2\x48\xcd\xc9\xc9\x07\x00"), echo(text, "Hello")),
		good("in fragments, section 7.2.3.1", frame(rsv1|text, "\xf2\x48\xcd")+frame(fin, "\xc9\xc9\x07\x00"),
			echo(text, "Hello")),
		good("not compressed, section 7.2.3.3", frame(zip|text, "\x00\x05\x00\xfa\xffHello\x00"), echo(text, "Hello")),
		good("a block with BFINAL, section 7.2.3.4", frame(zip|text, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
			echo(text, "Hello")),
		good("two blocks, section 7.2.3.5", frame(zip|text, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
			echo(text, "Hello")),
		good("an empty message, section 7.2.3.6", frame(zip|text, "\x00"), echo(text, "")),
		good("a message that is not compressed", frame(fin|text, "plain"), echo(text, "plain")),
		good("in turn compressed and not", frame(zip|text, hello)+frame(fin|data, "plain")+frame(zip|data, hello),
			echo(text, "Hello"), echo(data, "plain"), echo(data, "Hello")),
		good("cut into fragments of one byte", bytesOf(rsv1|text, hello), echo(text, "Hello")),
		good("empty fragments around it", frame(rsv1|text, "")+frame(more, hello)+frame(fin, ""), echo(text, "Hello")),
		{
			section: section7692,
			name:    "a ping between fragments, never compressed",
			sends:   frame(rsv1|text, hello[:3]) + frame(fin|ping, "p") + frame(fin, hello[3:]),
			echoes:  []received{echo(text, "Hello")},
			pongs:   []string{"p"},
		},
		good("what cannot be compressed", frame(zip|data, deflated(random, flate.BestCompression)), echo(data, random)),
		good("zeros at the limit", frame(zip|data, zeros(limit)), echo(data, strings.Repeat("\x00", limit))),
		broken("zeros one byte above the limit", frame(zip|data, zeros(limit+1)), 1009),
		broken("1 MiB of zeros", frame(zip|data, zeros(1<<20)), 1009),
		broken("32 MiB of zeros in 32 KiB", frame(zip|data, zeros(32<<20)), 1009),
		broken("1 MiB of zeros in fragments", bytesOf(rsv1|data, zeros(1<<20)), 1009),
		broken("1 MiB of zeros that call themselves text", frame(zip|text, zeros(1<<20)), 1009),
		broken("garbage", frame(zip|data, "\xff\xff\xff\xff garbage"), 1007),
		broken("a block of a type that is not there", frame(zip|data, "\x06"), 1007),
		broken("a stored block whose length is wrong", frame(zip|data, "\x00\x05\x00\xfb\xffHello\x00"), 1007),
		broken("cut short", frame(zip|data, deflated(strings.Repeat("cut short", 10), flate.BestCompression)[:6]), 1007),
		broken("text that is not UTF-8", frame(zip|text, deflated("\xed\xa0\x80", flate.BestCompression)), 1007),
		{
			section: section7692,
			name:    "a reference to the message before",
			sends:   frame(zip|text, hello),
			echoes:  []received{echo(text, "Hello")},
			then:    frame(zip|text, "\xf2\x00\x11\x00\x00"),
			code:    1007,
		},
		broken("RSV1 on a continuation", frame(rsv1|text, hello[:3])+frame(fin|rsv1, hello[3:]), 1002),
		broken("RSV1 on a continuation only", frame(text, "a")+frame(fin|rsv1, hello), 1002),
		broken("RSV1 on a ping", frame(zip|ping, ""), 1002),
		broken("RSV1 on a pong", frame(zip|pong, ""), 1002),
		broken("RSV1 on a close", frame(zip|closes, "\x03\xe8"), 1002),
		broken("RSV2 beside RSV1", frame(zip|rsv2|text, hello), 1002),
		broken("RSV3", frame(fin|rsv3|text, "a"), 1002),
		broken("RSV1 on a reserved opcode", frame(zip|0x3, hello), 1002),
		broken("one byte above the limit, not compressed", header(fin|data, limit+1), 1009),
		broken("much above the limit, compressed", header(zip|data, 10*limit), 1009),
	}
	for _, n := range []int{1, 16, 125, 126, 1000, 65535, 65536, limit} {
		for _, level := range []int{flate.NoCompression, flate.HuffmanOnly, flate.BestSpeed, flate.BestCompression} {
			content := strings.Repeat("text that repeats, grüße ", n/20+1)[:n]
			sent := deflated(content, level)
			if len(sent) > limit {
				continue
			}
			out = append(out, good(fmt.Sprintf("%d bytes at level %d", n, level), frame(zip|data, sent), echo(data, content)))
		}
	}
	return out
}

// bytesOf splits a message into up to a hundred fragments of at least one byte.
func bytesOf(first byte, payload string) string {
	out := frame(first, "")
	for size := 1 + len(payload)/100; len(payload) > 0; {
		n := min(size, len(payload))
		out += frame(more, payload[:n])
		payload = payload[n:]
	}
	return out + frame(fin, "")
}

// noise returns random data, which compression does not make shorter, of less than n bytes, because stored blocks have
// headers.
func noise(n int) string {
	b, state := make([]byte, n-100), uint32(2463534242)
	for i := range b {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		b[i] = byte(state)
	}
	return string(b)
}

// compression runs the cases of RFC 7692 with the raw peer.
func (s *rawSuite) compression(t *testing.T) {
	run := func(name string, test func(t *testing.T)) { s.run(t, s.peer, section7692, name, test) }
	for _, o := range offers() {
		run("an offer "+o.name, func(t *testing.T) { s.negotiate(t, o) })
	}
	neighbour := s.neighbour(t, s.zipped)
	for _, c := range compressedCases() {
		run(c.name, func(t *testing.T) {
			for _, how := range ways {
				t.Run(how.name, func(t *testing.T) {
					w := open(t, s.zipped, channelOf(t), "Sec-WebSocket-Extensions: permessage-deflate")
					w.compressed = true
					s.exchange(t, w, c, how)
					neighbour(t)
				})
			}
		})
	}
	run("the gateway compresses only for clients that asked", func(t *testing.T) {
		path := channelOf(t)
		asked := open(t, s.zipped, path, "Sec-WebSocket-Extensions: permessage-deflate")
		asked.compressed = true
		plain := open(t, s.zipped, path)
		content := strings.Repeat("the same again. ", 1000)
		plain.send(t, frame(fin|text, content))
		// A reserved bit would be an error here.
		plain.expect(t, fin|text, content)
		asked.expect(t, fin|text, content)
		require.Equal(t, 1, asked.inflated)
	})
}

func (s *rawSuite) negotiate(t *testing.T, o offer) {
	var lines []string
	for _, value := range o.header {
		lines = append(lines, "Sec-WebSocket-Extensions: "+value)
	}
	request := head("GET "+channelOf(t)+" HTTP/1.1", lines...)
	if o.malformed {
		s.refuses(t, s.zipped, request, []int{http.StatusBadRequest})
		s.refuses(t, s.plain, request, []int{http.StatusBadRequest})
		return
	}
	answer := func(address string) string {
		w := connect(t, address)
		w.send(t, request)
		response := w.response(t)
		accepted(t, response)
		require.LessOrEqual(t, len(response.Header.Values("Sec-WebSocket-Extensions")), 1)
		w.send(t, closing(1000, ""))
		w.ends(t, 1000)
		return response.Header.Get("Sec-WebSocket-Extensions")
	}
	require.Empty(t, answer(s.plain), "a gateway without compression")
	got := answer(s.zipped)
	if o.answered == nil {
		require.Empty(t, got)
		return
	}
	parts := strings.Split(strings.ReplaceAll(got, " ", ""), ";")
	require.Equal(t, "permessage-deflate", parts[0])
	require.ElementsMatch(t, o.answered, parts[1:])
}

// compressedExchanges returns the exchanges of all foreign peers with compression.
func compressedExchanges() []exchange {
	var out []exchange
	for _, n := range []int{0, 1, 100, 1000, 65536, limit} {
		out = append(out,
			echoes(section7692, fmt.Sprintf("text of %d bytes that repeats", n),
				send("text", strings.Repeat("abcdefghij", n/10+1)[:n])))
	}
	random := noise(60_000)
	out = append(out,
		echoes(section7692, "what cannot be compressed", send("binary", random)),
		echoes(section7692, "every good text", everyText()...),
		echoes(section7692, "fragments", send("text", strings.Repeat("a", 1000), strings.Repeat("b", 1000), "")),
		exchange{
			section: section7692,
			name:    "1 MiB of zeros",
			Steps:   []step{send("binary", strings.Repeat("\x00", 1<<20))},
			want:    outcome{Opened: true, Code: 1009, Reason: "limit"},
		},
	)
	many := ordered(500)
	many.section = section7692
	out = append(out, many)
	for i := range out {
		out[i].Compress, out[i].want.Extensions = true, "permessage-deflate"
	}
	without := echoes(section7692, "not offered, not used", send("text", strings.Repeat("plain", 1000)))
	without.needs = choosingCompression
	return append(out, without)
}

func everyText() []step {
	var out []step
	for _, good := range goodTexts {
		out = append(out, send("text", good))
	}
	return out
}

// compressedWith runs compressedExchanges with one peer, and one exchange with a gateway that does not compress.
func (s *suite) compressedWith(t *testing.T, p peer) {
	for _, e := range compressedExchanges() {
		s.exchanged(t, p, s.compressing, e)
	}
	off := echoes(section7692, "offered to a gateway without it", send("text", strings.Repeat("plain", 1000)))
	off.Compress = true
	s.exchanged(t, p, s.gateway, off)
}
