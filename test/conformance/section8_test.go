package conformance

import (
	"fmt"
	"testing"
)

// Texts at the limits of valid UTF-8.
var goodTexts = map[string]string{
	"ASCII":                        "plain text",
	"two bytes":                    "Grüße",
	"three bytes":                  "日本語 ελληνικά",
	"four bytes":                   "👋🌍",
	"combining characters":         "e\u0301a\u0308",
	"first of one byte":            "\u0000",
	"last of one byte":             "\u007f",
	"first of two bytes":           "\u0080",
	"last of two bytes":            "\u07ff",
	"first of three bytes":         "\u0800",
	"last before the surrogates":   "\ud7ff",
	"first after the surrogates":   "\ue000",
	"last of three bytes":          "\uffff",
	"first of four bytes":          "\U00010000",
	"last of all":                  "\U0010ffff",
	"byte order mark":              "\ufefftext",
	"no characters, but allowed":   "\ufdd0\ufffe\U0001ffff",
	"replacement character":        "\ufffd",
	"mathematical, right to left":  "𝔸 שלום",
	"zero width joiner, variation": "👩\u200d💻\ufe0f",
}

// Invalid UTF-8, each with a valid beginning and end.
var badTexts = map[string]string{
	"lone continuation":              "\x80",
	"last continuation":              "\xbf",
	"two continuations":              "\x80\xbf",
	"start of two without the rest":  "\xc3",
	"start of three with one":        "\xe2\x82",
	"start of four with two":         "\xf0\x9f\x91",
	"two starts":                     "\xc3\xc3\xa4",
	"slash in two bytes":             "\xc0\xaf",
	"slash in three bytes":           "\xe0\x80\xaf",
	"slash in four bytes":            "\xf0\x80\x80\xaf",
	"overlong of the first form":     "\xc1\xbf",
	"overlong of the second form":    "\xe0\x9f\xbf",
	"overlong of the third form":     "\xf0\x8f\xbf\xbf",
	"NUL in two bytes":               "\xc0\x80",
	"first surrogate":                "\xed\xa0\x80",
	"last surrogate":                 "\xed\xbf\xbf",
	"pair of surrogates":             "\xed\xa0\xbd\xed\xb1\x8b",
	"one above the last of all":      "\xf4\x90\x80\x80",
	"far above the last of all":      "\xf7\xbf\xbf\xbf",
	"five bytes":                     "\xf8\x88\x80\x80\x80",
	"six bytes":                      "\xfc\x84\x80\x80\x80\x80",
	"byte that is never there, 0xfe": "\xfe",
	"byte that is never there, 0xff": "\xff",
	"Latin-1":                        "Gr\xfc\xdfe",
	"UTF-16":                         "\xff\xfea\x00",
}

// texts returns the cases of RFC 6455 sections 8.1 and 5.6: a text is checked as a whole, wherever its frames end.
func texts() []rawCase {
	var out []rawCase
	for name, good := range goodTexts {
		out = append(out,
			rawCase{section: "8.1", name: name, sends: frame(fin|text, good), echoes: []received{echo(text, good)}})
		var cuts string
		var echoes []received
		for i := range len(good) + 1 {
			cuts += frame(text, good[:i]) + frame(fin, good[i:])
			echoes = append(echoes, echo(text, good))
		}
		out = append(out, rawCase{section: "8.1", name: name + ", cut at every byte", sends: cuts, echoes: echoes})
	}
	for name, bad := range badTexts {
		out = append(out,
			rawCase{section: "8.1", name: "not UTF-8: " + name, sends: frame(fin|text, bad), code: 1007},
			rawCase{
				section: "8.1",
				name:    "not UTF-8, in good company: " + name,
				sends:   frame(fin|text, "good "+bad+" good"),
				code:    1007,
			},
			rawCase{
				section: "8.1",
				name:    "not UTF-8, in fragments of one byte: " + name,
				sends:   bytewise("κόσμε" + bad + "x"),
				code:    1007,
			},
			rawCase{
				section: "8.1",
				name:    "not UTF-8, after a good message: " + name,
				sends:   frame(fin|text, "good"),
				echoes:  []received{echo(text, "good")},
				then:    frame(fin|text, bad),
				code:    1007,
			},
		)
	}
	return out
}

// bytewise splits a text into fragments of one byte.
func bytewise(whole string) string {
	out := frame(text, "")
	for i := range len(whole) {
		out += frame(more, whole[i:i+1])
	}
	return out + frame(fin, "")
}

// utf8 returns a case that shows that the gateway checks a text when it is complete. The RFC allows to fail earlier.
func (s *rawSuite) utf8(t *testing.T) {
	s.run(t, s.peer, "8.1", "judged when the message is whole", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t))
		w.send(t, frame(text, "\xff")+frame(fin|ping, "still there"))
		w.expect(t, fin|pong, "still there")
		w.send(t, frame(fin, "more"))
		w.ends(t, 1007)
	})
	s.run(t, s.peer, "8.1", "a message that is never whole is never judged", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t))
		w.send(t, frame(text, "\xff")+closing(1000, ""))
		w.ends(t, 1000)
	})
	for name, bad := range badTexts {
		s.run(t, s.peer, "8.1", fmt.Sprintf("close reason that is not UTF-8: %s", name), func(t *testing.T) {
			w := open(t, s.plain, channelOf(t))
			w.send(t, closing(1000, "good "+bad))
			w.ends(t, 1007)
		})
	}
}
