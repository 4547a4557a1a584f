package transport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNegotiateDeflate(t *testing.T) {
	const (
		accepted   = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		withWindow = accepted + "; server_max_window_bits=15"
	)
	cases := []struct {
		name   string
		header []string
		want   string
	}{
		{"nothing", nil, ""},
		{"empty", []string{""}, ""},
		{"empty elements", []string{" ,, permessage-deflate , "}, accepted},
		{"as coder/websocket and ws offer",
			[]string{"permessage-deflate; client_no_context_takeover; server_no_context_takeover"}, accepted},
		{"as Chromium offers", []string{"permessage-deflate; client_max_window_bits"}, accepted},
		{"no spaces", []string{"permessage-deflate;client_max_window_bits=15;server_no_context_takeover"}, accepted},
		{"quoted value", []string{`permessage-deflate; client_max_window_bits="10"`}, accepted},
		{"quoted value with a backslash", []string{`permessage-deflate; client_max_window_bits="1\0"`}, accepted},
		{"window that the compressor has", []string{"permessage-deflate; server_max_window_bits=15"}, withWindow},
		{"window that it has not", []string{"permessage-deflate; server_max_window_bits=10"}, ""},
		{"first acceptable of one header",
			[]string{
				"permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=15, permessage-deflate"},
			withWindow},
		{"first acceptable of several",
			[]string{"x-webkit-deflate-frame", "permessage-deflate; server_max_window_bits=9", "permessage-deflate"}, accepted},
		{"another extension", []string{"permessage-bzip2; client_max_compress_level=9"}, ""},
		{"unknown parameter", []string{"permessage-deflate; level=9"}, ""},
		{"duplicate", []string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, ""},
		{"duplicate with another value", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"},
			""},
		{"value where none belongs", []string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{"window without a value", []string{"permessage-deflate; server_max_window_bits"}, ""},
		{"window too small", []string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{"window too large", []string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{"window with a zero before", []string{"permessage-deflate; client_max_window_bits=08"}, ""},
		{"window that is no number", []string{"permessage-deflate; client_max_window_bits=ten"}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			offers, ok := parseExtensions(c.header)
			require.True(t, ok)
			require.Equal(t, c.want, negotiateDeflate(offers))
		})
	}
}

func TestParseExtensionsRefusesMalformedOffers(t *testing.T) {
	for _, header := range []string{";", "a b", "a;", "a; ;b", "a; =1", "a; b=", "a; b=1 2", `a; b="1`, `a; b=""`,
		`a; b="1,2"`, `a; b="1"2`, `a; b="\`, "a/b", "ä",
	} {
		_, ok := parseExtensions([]string{"permessage-deflate", header})
		require.False(t, ok, header)
	}
}

// FuzzParseExtensions checks that a parsed header, written again, parses to the same offers.
func FuzzParseExtensions(f *testing.F) {
	for _, seed := range []string{
		"permessage-deflate; client_max_window_bits, permessage-deflate", `a; b="c\d"; e=f,,g`, `a; b="`, ";", " ,\t,",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		offers, ok := parseExtensions([]string{header})
		if !ok {
			require.Empty(t, offers)
			return
		}
		var written []string
		for _, e := range offers {
			s := e.name
			for _, p := range e.parameters {
				s += ";" + p.name
				if p.value != "" {
					s += "=" + p.value
				}
			}
			written = append(written, s)
		}
		again, ok := parseExtensions(written)
		require.True(t, ok)
		require.Equal(t, offers, again)
		if answer := negotiateDeflate(offers); answer != "" {
			require.True(t, strings.HasPrefix(answer, extensionDeflate))
		}
	})
}
