package transport

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxyV2 returns a binary header.
func proxyV2(command, familyAndKind byte, content ...byte) []byte {
	b := append(bytes.Clone(proxySignatureV2), command, familyAndKind)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(content))), content...)
}

// The addresses of the tests: 203.0.113.7:4711 and [2001:db8::1]:4711 connect to another one.
var (
	proxyAddressesV4 = []byte{203, 0, 113, 7, 10, 1, 1, 1, 0x12, 0x67, 0x1f, 0x90}
	proxyAddressesV6 = append(append(
		netip.MustParseAddr("2001:db8::1").AsSlice(), netip.MustParseAddr("fd00::1").AsSlice()...), 0x12, 0x67, 0, 80)
	proxyTLVs = append([]byte{0x05, 0, 4, 'u', 'i', 'd', '1', 0x04, 0, 200}, make([]byte, 200)...)
)

func TestParseProxyHeader(t *testing.T) {
	const v4, v6 = "203.0.113.7:4711", "[2001:db8::1]:4711"
	cases := []struct {
		name   string
		header string
		// want is the source, or "none".
		want string
	}{
		{"IPv4", "PROXY TCP4 203.0.113.7 10.1.1.1 4711 8080\r\n", v4},
		{"IPv6", "PROXY TCP6 2001:db8::1 fd00::1 4711 8080\r\n", v6},
		{"IPv6 in full", "PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0001 fd00::1 4711 8080\r\n", v6},
		{"IPv6 client of an IPv4 listener", "PROXY TCP6 2001:db8::1 10.1.1.1 4711 8080\r\n", v6},
		{"IPv4 in IPv6", "PROXY TCP6 ::ffff:203.0.113.7 ::ffff:10.1.1.1 4711 8080\r\n", v4},
		{"unknown", "PROXY UNKNOWN\r\n", "none"},
		{"unknown with what follows", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "none"},
		{"binary IPv4", string(proxyV2(0x21, 0x11, proxyAddressesV4...)), v4},
		{"binary IPv6", string(proxyV2(0x21, 0x21, proxyAddressesV6...)), v6},
		{"binary IPv4 over QUIC", string(proxyV2(0x21, 0x12, proxyAddressesV4...)), v4},
		{"TLVs", string(proxyV2(0x21, 0x11, append(bytes.Clone(proxyAddressesV4), proxyTLVs...)...)), v4},
		{"TLVs behind IPv6", string(proxyV2(0x21, 0x21, append(bytes.Clone(proxyAddressesV6), proxyTLVs...)...)), v6},
		{"local", string(proxyV2(0x20, 0x00)), "none"},
		{"local with addresses", string(proxyV2(0x20, 0x11, proxyAddressesV4...)), "none"},
		{"unspecified", string(proxyV2(0x21, 0x00)), "none"},
		{"unspecified with TLVs", string(proxyV2(0x21, 0x00, proxyTLVs...)), "none"},
		{"a socket file", string(proxyV2(0x21, 0x31, make([]byte, 216)...)), "none"},
		{"as long as it may be", string(proxyV2(0x21, 0x11, append(bytes.Clone(proxyAddressesV4),
			make([]byte, maxProxyHeaderV2-proxyFixedBytes-len(proxyAddressesV4))...)...)), v4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseProxyHeader([]byte(c.header + "GET / HTTP/1.1\r\n"))
			require.NoError(t, err)
			require.Equal(t, len(c.header), got.bytes)
			if c.want == "none" {
				require.False(t, got.source.IsValid())
			} else {
				require.Equal(t, c.want, got.source.String())
			}
			for i := range c.header {
				_, err := parseProxyHeader([]byte(c.header[:i]))
				require.ErrorIs(t, err, errPartialProxyHeader, "%d bytes of %d", i, len(c.header))
			}
		})
	}
}

func TestParseProxyHeaderRefuses(t *testing.T) {
	for name, header := range map[string]string{
		"no addresses":          "PROXY TCP4\r\n",
		"no family":             "PROXY \r\n",
		"another family":        "PROXY UDP4 203.0.113.7 10.1.1.1 4711 8080\r\n",
		"a field too much":      "PROXY TCP4 203.0.113.7 10.1.1.1 4711 8080 x\r\n",
		"two spaces":            "PROXY  TCP4 203.0.113.7 10.1.1.1 4711 8080\r\n",
		"no carriage return":    "PROXY TCP4 203.0.113.7 10.1.1.1 4711 8080\n",
		"IPv6 as IPv4":          "PROXY TCP4 2001:db8::1 fd00::1 4711 8080\r\n",
		"no address":            "PROXY TCP4 localhost 10.1.1.1 4711 8080\r\n",
		"no destination":        "PROXY TCP4 203.0.113.7 x 4711 8080\r\n",
		"a zone":                "PROXY TCP6 fe80::1%eth0 fd00::1 4711 8080\r\n",
		"a port too large":      "PROXY TCP4 203.0.113.7 10.1.1.1 65536 8080\r\n",
		"a port with a sign":    "PROXY TCP4 203.0.113.7 10.1.1.1 +4711 8080\r\n",
		"a port with a zero":    "PROXY TCP4 203.0.113.7 10.1.1.1 04711 8080\r\n",
		"a line too long":       "PROXY UNKNOWN " + strings.Repeat("x", maxProxyHeaderV1) + "\r\n",
		"no end of the line":    "PROXY UNKNOWN " + strings.Repeat("x", maxProxyHeaderV1),
		"another version":       string(proxyV2(0x11, 0x11, proxyAddressesV4...)),
		"another command":       string(proxyV2(0x22, 0x11, proxyAddressesV4...)),
		"another binary family": string(proxyV2(0x21, 0x41, proxyAddressesV4...)),
		"another kind":          string(proxyV2(0x21, 0x13, proxyAddressesV4...)),
		"a family without kind": string(proxyV2(0x21, 0x10, proxyAddressesV4...)),
		"addresses cut short":   string(proxyV2(0x21, 0x11, proxyAddressesV4[:11]...)),
		"IPv6 cut short":        string(proxyV2(0x21, 0x21, proxyAddressesV4...)),
		"too long":              string(proxyV2(0x21, 0x11, make([]byte, maxProxyHeaderV2)...)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseProxyHeader([]byte(header))
			require.ErrorIs(t, err, errBadProxyHeader)
		})
	}
	for _, request := range []string{"GET / HTTP/1.1\r\n", "PROPFIND /", "PROXYX", "\r\n\r\nGET /", "\x16\x03\x01"} {
		_, err := parseProxyHeader([]byte(request))
		require.ErrorIs(t, err, errNoProxyHeader, request)
	}
}

// FuzzProxyHeader checks that a header is decided in the same way however it is cut, and that what is accepted has a
// form that both versions prescribe.
func FuzzProxyHeader(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 203.0.113.7 10.1.1.1 4711 8080\r\nGET /", "PROXY UNKNOWN\r\n", "PROXY TCP6 ::1 ::1 1 1\r\n", "GET /",
		string(proxyV2(0x21, 0x11, proxyAddressesV4...)), string(proxyV2(0x21, 0x21, proxyAddressesV6...)),
		string(proxyV2(0x20, 0x00, proxyTLVs...)), string(proxyV2(0x21, 0x31, make([]byte, 216)...)),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseProxyHeader(b)
		for i := range b {
			part, partErr := parseProxyHeader(b[:i])
			if partErr == nil {
				require.NoError(t, err)
				require.Equal(t, got, part)
				require.LessOrEqual(t, got.bytes, i)
			}
		}
		if err != nil {
			require.Zero(t, got)
			return
		}
		require.LessOrEqual(t, got.bytes, len(b))
		header := b[:got.bytes]
		if text := string(header); strings.HasPrefix(text, "PROXY ") {
			require.Regexp(t, `^PROXY (UNKNOWN( .*)?|TCP[46] \S+ \S+ \d{1,5} \d{1,5})\r\n$`, text)
			return
		}
		require.Equal(t, byte(2), header[12]>>4)
		require.Len(t, header, 16+int(binary.BigEndian.Uint16(header[14:])))
		if got.source.IsValid() {
			require.Contains(t, string(header[16:]), string(got.source.Addr().AsSlice()))
		}
	})
}
