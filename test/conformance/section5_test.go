package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// cases returns the cases that consist of frames to send and to receive, in the order of the sections.
func cases() []rawCase {
	return slices.Concat(sizes(), headers(), masks(), fragments(), controls(), dataFrames(), limits(), texts())
}

// echo returns a message as the gateway sends it back.
func echo(opcode byte, payload string) received { return received{fin | opcode, payload} }

// sizes returns cases around the sizes at which the encoding of the length changes, RFC 6455 section 5.2.
func sizes() []rawCase {
	var out []rawCase
	for _, n := range []int{0, 1, 124, 125, 126, 127, 128, 255, 256, 16383, 65534, 65535, 65536, 65537, limit} {
		for name, opcode := range map[string]byte{"text": text, "binary": data} {
			payload := strings.Repeat("0123456789abcde", n/15+1)[:n]
			out = append(out, rawCase{
				section: "5.2", name: fmt.Sprintf("%s of %d bytes", name, n),
				sends: frame(fin|opcode, payload), echoes: []received{echo(opcode, payload)},
			})
		}
	}
	return out
}

// headers returns cases with frames that RFC 6455 section 5.2 forbids.
func headers() []rawCase {
	var out []rawCase
	broken := func(name, bytes string) {
		out = append(out, rawCase{section: "5.2", name: name, sends: bytes, code: 1002})
	}
	for bits := byte(1); bits < 8; bits++ {
		for _, opcode := range []byte{text, data, ping, pong, closes} {
			broken(fmt.Sprintf("reserved bits %03b on opcode %#x", bits, opcode), frame(fin|bits<<4|opcode, ""))
		}
		broken(fmt.Sprintf("reserved bits %03b on a continuation", bits), frame(text, "a")+frame(fin|bits<<4, "b"))
	}
	for _, opcode := range []byte{0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF} {
		broken(fmt.Sprintf("reserved opcode %#x", opcode), frame(fin|opcode, ""))
		broken(fmt.Sprintf("reserved opcode %#x with a payload", opcode), frame(fin|opcode, "payload"))
		broken(fmt.Sprintf("reserved opcode %#x inside a message", opcode), frame(text, "a")+frame(fin|opcode, "b"))
	}
	for _, c := range []struct{ name, length string }{
		{"0 in 16 bits", "\xfe\x00\x00"},
		{"125 in 16 bits", "\xfe\x00\x7d"},
		{"0 in 64 bits", "\xff\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"125 in 64 bits", "\xff\x00\x00\x00\x00\x00\x00\x00\x7d"},
		{"65535 in 64 bits", "\xff\x00\x00\x00\x00\x00\x00\xff\xff"},
		{"64 bits with the highest set", "\xff\x80\x00\x00\x00\x00\x00\x00\x01"},
		{"64 bits, all set", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		broken("length of "+c.name, "\x82"+c.length+string(key[:]))
	}
	return append(out,
		rawCase{
			section: "5.2",
			name:    "a good message before a broken frame is delivered",
			sends:   frame(fin|text, "good"),
			echoes:  []received{echo(text, "good")},
			then:    frame(fin|rsv1|text, "bad"),
			code:    1002,
		},
		rawCase{
			section: "5.2",
			name:    "nothing counts after a broken frame",
			sends:   frame(fin|rsv1|text, "bad") + frame(fin|text, "good") + closing(1000, ""),
			code:    1002,
		},
	)
}

// masks returns the cases of RFC 6455 section 5.3, and of 5.1, by which a server must close on an unmasked frame.
func masks() []rawCase {
	var out []rawCase
	payload := "a payload of more than eight bytes, and of no multiple of four"
	for name, key := range map[string][4]byte{
		"of zeros":      {},
		"of ones":       {0xff, 0xff, 0xff, 0xff},
		"with one bit":  {0, 0, 0, 1},
		"that is ASCII": {'k', 'e', 'y', '!'},
	} {
		out = append(out, rawCase{
			section: "5.3", name: "mask " + name,
			sends: header(fin|text, len(payload)) + masked(key, payload), echoes: []received{echo(text, payload)},
		})
	}
	var fresh, same string
	for i := range 20 {
		fresh += header(fin|data, i) + masked([4]byte{byte(i), byte(3 * i), byte(5 * i), byte(7 * i)}, payload[:i])
		same += frame(fin|data, payload[:i])
	}
	var echoes []received
	for i := range 20 {
		echoes = append(echoes, echo(data, payload[:i]))
	}
	out = append(out,
		rawCase{section: "5.3", name: "a fresh mask for every frame", sends: fresh, echoes: echoes},
		rawCase{section: "5.3", name: "the same mask for every frame", sends: same, echoes: echoes},
		rawCase{
			section: "5.3",
			name:    "a mask of its own for every fragment",
			sends:   header(text, 3) + masked([4]byte{1, 2, 3, 4}, "abc") + header(fin, 3) + masked([4]byte{5, 6, 7, 8}, "def"),
			echoes:  []received{echo(text, "abcdef")},
		},
	)
	for name, bytes := range map[string]string{
		"text": "\x81\x05hello", "binary": "\x82\x05hello", "empty text": "\x81\x00", "ping": "\x89\x00", "pong": "\x8a\x00",
		"close": "\x88\x02\x03\xe8", "long message": "\x82\x7e\x01\x00" + strings.Repeat("x", 256),
		"continuation": frame(text, "a") + "\x80\x01b",
	} {
		out = append(out, rawCase{section: "5.3", name: name + " that is not masked", sends: bytes, code: 1002})
	}
	return out
}

// fragments returns the cases of RFC 6455 section 5.4.
func fragments() []rawCase {
	hundred := frame(data, "0")
	for i := 1; i < 99; i++ {
		hundred += frame(more, string(rune('0'+i%10)))
	}
	hundred += frame(fin|more, "9")
	good := func(name, bytes string, echoes ...received) rawCase {
		return rawCase{section: "5.4", name: name, sends: bytes, echoes: echoes}
	}
	broken := func(name, bytes string) rawCase {
		return rawCase{section: "5.4", name: name, sends: bytes, code: 1002}
	}
	pinged := func(name, bytes string, pongs []string, echoes ...received) rawCase {
		return rawCase{section: "5.4", name: name, sends: bytes, echoes: echoes, pongs: pongs}
	}
	return []rawCase{
		good("text in two", frame(text, "hel")+frame(fin, "lo"), echo(text, "hello")),
		good("binary in three", frame(data, "\x00")+frame(more, "\x01")+frame(fin, "\xff"), echo(data, "\x00\x01\xff")),
		good("a hundred of one byte", hundred, echo(data, strings.Repeat("0123456789", 10))),
		good("the first empty", frame(text, "")+frame(fin, "a"), echo(text, "a")),
		good("the middle empty", frame(text, "a")+frame(more, "")+frame(fin, "b"), echo(text, "ab")),
		good("the last empty", frame(text, "a")+frame(fin, ""), echo(text, "a")),
		good("all empty", frame(text, "")+frame(more, "")+frame(fin, ""), echo(text, "")),
		good("two messages in turn", frame(text, "a")+frame(fin, "b")+frame(data, "c")+frame(fin, "d"), echo(text, "ab"),
			echo(data, "cd")),
		good("a whole message after fragments", frame(text, "a")+frame(fin, "b")+frame(fin|text, "c"), echo(text, "ab"),
			echo(text, "c")),
		good("large ones", frame(data, strings.Repeat("x", 30_000))+frame(more, strings.Repeat("y", 30_000))+frame(fin, "z"),
			echo(data, strings.Repeat("x", 30_000)+strings.Repeat("y", 30_000)+"z")),
		pinged("a ping between them", frame(text, "a")+frame(fin|ping, "p")+frame(fin, "b"), []string{"p"}, echo(text, "ab")),
		pinged("pings between all of them",
			frame(text, "a")+frame(fin|ping, "1")+frame(more, "b")+frame(fin|ping, "2")+frame(fin|ping, "3")+frame(fin, "c"),
			[]string{"1", "2", "3"}, echo(text, "abc")),
		good("a pong between them", frame(text, "a")+frame(fin|pong, "unasked")+frame(fin, "b"), echo(text, "ab")),
		pinged("a ping is answered before the message is whole", frame(text, "a")+frame(fin|ping, "p"), []string{"p"}),
		broken("a continuation of nothing", frame(more, "a")),
		broken("a last continuation of nothing", frame(fin, "a")),
		broken("an empty continuation of nothing", frame(fin, "")),
		{
			section: "5.4",
			name:    "a continuation after the last",
			sends:   frame(text, "a") + frame(fin, "b"),
			echoes:  []received{echo(text, "ab")},
			then:    frame(fin, "c"),
			code:    1002,
		},
		broken("a continuation after a ping only", frame(fin|pong, "")+frame(fin, "a")),
		broken("text inside text", frame(text, "a")+frame(fin|text, "b")),
		broken("binary inside text", frame(text, "a")+frame(fin|data, "b")),
		broken("text inside binary", frame(data, "a")+frame(text, "b")),
		broken("a first fragment after a first fragment", frame(data, "a")+frame(data, "b")),
	}
}

// controls returns the cases of RFC 6455 section 5.5 except closing, which is section 7.
func controls() []rawCase {
	longest := strings.Repeat("p", 125)
	var pings string
	var pongs []string
	for i := range 10 {
		payload := strings.Repeat("x", i)
		pings += frame(fin|ping, payload)
		pongs = append(pongs, payload)
	}
	out := []rawCase{
		{section: "5.5", name: "an empty ping", sends: frame(fin|ping, ""), pongs: []string{""}},
		{
			section: "5.5",
			name:    "the pong holds what the ping held",
			sends:   frame(fin|ping, "\x00\xff\xfe"),
			pongs:   []string{"\x00\xff\xfe"},
		},
		{section: "5.5", name: "the longest ping", sends: frame(fin|ping, longest), pongs: []string{longest}},
		{section: "5.5", name: "ten pings in turn", sends: pings, pongs: pongs},
		{section: "5.5", name: "an unasked pong", sends: frame(fin|pong, "")},
		{section: "5.5", name: "an unasked pong with a payload", sends: frame(fin|pong, "unasked")},
		{
			section: "5.5",
			name:    "unasked pongs and a ping",
			sends:   frame(fin|pong, "a") + frame(fin|ping, "b") + frame(fin|pong, "c"),
			pongs:   []string{"b"},
		},
		{
			section: "5.5",
			name:    "a ping between messages",
			sends:   frame(fin|text, "a") + frame(fin|ping, "p") + frame(fin|text, "b"),
			echoes:  []received{echo(text, "a"), echo(text, "b")},
			pongs:   []string{"p"},
		},
	}
	for name, opcode := range map[string]byte{"close": closes, "ping": ping, "pong": pong} {
		for problem, bytes := range map[string]string{
			"of 126 bytes":              frame(fin|opcode, longest+"p"),
			"of 65536 bytes":            frame(fin|opcode, strings.Repeat("p", 65536)),
			"with a length of 16 bits":  string([]byte{fin | opcode, 0xfe, 0, 2}) + masked(key, "\x03\xe8"),
			"in fragments":              frame(opcode, "") + frame(fin, ""),
			"in fragments in a message": frame(text, "a") + frame(opcode, "") + frame(fin, ""),
		} {
			out = append(out, rawCase{section: "5.5", name: "a " + name + " " + problem, sends: bytes, code: 1002})
		}
	}
	return out
}

// dataFrames returns the cases of RFC 6455 section 5.6: the gateway keeps types and order of messages.
func dataFrames() []rawCase {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var many string
	var echoes []received
	for i := range 300 {
		opcode := byte(text + i%2)
		payload := fmt.Sprintf("message %d", i)
		many += frame(fin|opcode, payload)
		echoes = append(echoes, echo(opcode, payload))
	}
	return []rawCase{
		{
			section: "5.6",
			name:    "binary of every byte",
			sends:   frame(fin|data, string(every)),
			echoes:  []received{echo(data, string(every))},
		},
		{
			section: "5.6",
			name:    "binary that is no UTF-8",
			sends:   frame(fin|data, "\xff\xfe\x80"),
			echoes:  []received{echo(data, "\xff\xfe\x80")},
		},
		{section: "5.6", name: "text with a NUL", sends: frame(fin|text, "a\x00b"), echoes: []received{echo(text, "a\x00b")}},
		{section: "5.6", name: "three hundred in turn, both kinds", sends: many, echoes: echoes},
	}
}

// limits returns the cases of RFC 6455 section 10.4: the gateway refuses a message as soon as a header shows that it is
// too large.
func limits() []rawCase {
	half := strings.Repeat("h", limit/2)
	tooBig := func(name, bytes string) rawCase {
		return rawCase{section: "10.4", name: name, sends: bytes, code: 1009}
	}
	return []rawCase{
		{
			section: "10.4",
			name:    "at the limit in two",
			sends:   frame(data, half) + frame(fin, half),
			echoes:  []received{echo(data, half+half)},
		},
		{
			section: "10.4",
			name:    "at the limit, with pings between",
			sends:   frame(data, half) + frame(fin|ping, half[:125]) + frame(fin, half),
			echoes:  []received{echo(data, half+half)},
			pongs:   []string{half[:125]},
		},
		{
			section: "10.4",
			name:    "the limit is a message's, not a connection's",
			sends:   frame(fin|data, half) + frame(fin|data, half) + frame(fin|data, half),
			echoes:  []received{echo(data, half), echo(data, half), echo(data, half)},
		},
		tooBig("one byte above the limit", frame(fin|data, half+half+"x")),
		tooBig("text one byte above it", frame(fin|text, half+half+"x")),
		tooBig("fragments one byte above it", frame(data, half)+frame(more, half)+frame(fin, "x")),
		tooBig("announced and never sent", header(fin|data, limit+1)),
		tooBig("2 GiB announced", "\x82\xff\x00\x00\x00\x00\x80\x00\x00\x00"),
		tooBig("the most that can be announced", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
		tooBig("announced by a fragment", frame(data, half)+header(more, limit)),
	}
}
