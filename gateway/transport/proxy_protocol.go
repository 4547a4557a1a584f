package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
)

// ProxyProtocol says whether connections begin with a header of the PROXY protocol (haproxy.org, proxy-protocol.txt,
// versions 1 and 2), by which a load balancer that passes on TCP streams names the client.
type ProxyProtocol int

// The values of ProxyProtocol. A header from anywhere else than a trusted proxy is refused with each of them.
const (
	// ProxyProtocolDisabled refuses every header.
	ProxyProtocolDisabled ProxyProtocol = iota
	// ProxyProtocolOptional reads the header of connections of trusted proxies that begin with one.
	ProxyProtocolOptional
	// ProxyProtocolRequired is ProxyProtocolOptional, and refuses connections of trusted proxies that have no header.
	ProxyProtocolRequired
)

// Limits of a header in bytes. That of version 1 is the protocol's. Version 2 allows 64 KiB, of which the gateway reads
// nothing but the addresses.
const (
	maxProxyHeaderV1 = 107
	maxProxyHeaderV2 = 4 << 10
)

// What version 2 of the protocol consists of, section 2.2.
const (
	// proxyFixedBytes is the length of the part before the addresses.
	proxyFixedBytes = 16
	proxyLocal      = 0x20
	proxyProxied    = 0x21
	proxyFamilyNone = 0
	proxyFamilyIPv4 = 1
	proxyFamilyIPv6 = 2
	proxyFamilyUnix = 3
)

var (
	proxySignatureV1 = []byte("PROXY ")
	proxySignatureV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// Errors of parseProxyHeader.
var (
	errNoProxyHeader      = errors.New("no PROXY protocol header")
	errPartialProxyHeader = errors.New("the PROXY protocol header is incomplete")
	errBadProxyHeader     = errors.New("the PROXY protocol header is malformed")
)

// proxyHeader is a header of the PROXY protocol.
type proxyHeader struct {
	// source is the client's address. It is invalid when the header names none: the connection is the proxy's own, such
	// as a health check, or its client has no IP address.
	source netip.AddrPort
	// bytes is the length of the header.
	bytes int
}

// parseProxyHeader parses the header that b begins with. It returns errNoProxyHeader when b begins with something else,
// errPartialProxyHeader when more bytes are needed to decide, and errBadProxyHeader for a header that violates the
// protocol or is longer than the limits.
func parseProxyHeader(b []byte) (proxyHeader, error) {
	switch {
	case bytes.HasPrefix(b, proxySignatureV1):
		return parseProxyV1(b)
	case bytes.HasPrefix(b, proxySignatureV2):
		return parseProxyV2(b)
	case bytes.HasPrefix(proxySignatureV1, b), bytes.HasPrefix(proxySignatureV2, b):
		return proxyHeader{}, errPartialProxyHeader
	}
	return proxyHeader{}, errNoProxyHeader
}

// parseProxyV1 parses a header in text. Its errors are those of parseProxyHeader.
func parseProxyV1(b []byte) (proxyHeader, error) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 && len(b) < maxProxyHeaderV1 {
		return proxyHeader{}, errPartialProxyHeader
	}
	line, ok := strings.CutSuffix(string(b[:end]), "\r\n")
	if !ok || end > maxProxyHeaderV1 {
		return proxyHeader{}, errBadProxyHeader
	}
	fields := strings.Split(line, " ")
	if fields[1] == "UNKNOWN" {
		return proxyHeader{bytes: end}, nil
	}
	const want = 6
	if len(fields) != want || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return proxyHeader{}, errBadProxyHeader
	}
	source, sourceErr := proxyAddrPort(fields[1], fields[2], fields[4])
	_, destinationErr := proxyAddrPort(fields[1], fields[3], fields[5])
	if sourceErr != nil || destinationErr != nil {
		return proxyHeader{}, errBadProxyHeader
	}
	return proxyHeader{source: source, bytes: end}, nil
}

// proxyAddrPort parses an address of version 1. It accepts IPv4 addresses with the family TCP6, which nginx sends where
// the client's address and its own are of different families. It returns errBadProxyHeader or the error of a parser.
func proxyAddrPort(family, ip, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if addr.Zone() != "" || family == "TCP4" && !addr.Is4() || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, errBadProxyHeader
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// parseProxyV2 parses a binary header and skips its TLVs. Its errors are those of parseProxyHeader.
func parseProxyV2(b []byte) (proxyHeader, error) {
	if len(b) < proxyFixedBytes {
		return proxyHeader{}, errPartialProxyHeader
	}
	command, family, kind := b[12], b[13]>>4, b[13]&0xf
	end := proxyFixedBytes + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case command != proxyLocal && command != proxyProxied, end > maxProxyHeaderV2:
		return proxyHeader{}, errBadProxyHeader
	case len(b) < end:
		return proxyHeader{}, errPartialProxyHeader
	case command == proxyLocal:
		return proxyHeader{bytes: end}, nil
	}
	source, ok := proxySource(family, kind, b[proxyFixedBytes:end])
	if !ok {
		return proxyHeader{}, errBadProxyHeader
	}
	return proxyHeader{source: source, bytes: end}, nil
}

// proxySource returns the source address of version 2, or the zero value where the client has no IP address. It reports
// false for a family or kind that does not exist, and for addresses that are cut short. Streams and datagrams are the
// same: a proxy may have received the client's stream over QUIC.
func proxySource(family, kind byte, addresses []byte) (source netip.AddrPort, ok bool) {
	const stream, datagram = 1, 2
	none := family == proxyFamilyNone && kind == 0
	if !none && kind != stream && kind != datagram {
		return netip.AddrPort{}, false
	}
	size := 0
	switch family {
	case proxyFamilyIPv4:
		size = 4
	case proxyFamilyIPv6:
		size = 16
	case proxyFamilyNone, proxyFamilyUnix:
		return netip.AddrPort{}, none || family == proxyFamilyUnix
	default:
		return netip.AddrPort{}, false
	}
	// Source and destination address, then their ports.
	if len(addresses) < 2*size+4 {
		return netip.AddrPort{}, false
	}
	ip, _ := netip.AddrFromSlice(addresses[:size])
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(addresses[2*size:])), true
}

// proxyRefusal is the answer to a connection that is closed because of its PROXY protocol header, or because it has
// none. The text is an HTTP response: whatever speaks to this port expects HTTP.
type proxyRefusal struct{ message string }

// Error returns the message.
func (r *proxyRefusal) Error() string { return r.message }

// response returns the whole answer.
func (r *proxyRefusal) response() string {
	return "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
		r.message + "\n"
}

// readProxyHeader decides about the first bytes of a connection of peer. It returns the client's address, which is
// peer's unless a trusted proxy names another, and the length of the header to skip. It returns errPartialProxyHeader
// when more bytes are needed, and a *proxyRefusal when the connection must be closed.
func (s *Server) readProxyHeader(b []byte, peer netip.AddrPort) (client netip.AddrPort, skip int, err error) {
	mode := s.options.ProxyProtocol
	header, err := parseProxyHeader(b)
	switch {
	case errors.Is(err, errPartialProxyHeader):
		return peer, 0, err
	case errors.Is(err, errNoProxyHeader) && mode == ProxyProtocolRequired && s.options.Proxies.trusts(peer.Addr()):
		return peer, 0, &proxyRefusal{"connections of proxies must begin with a PROXY protocol header: " +
			"let the proxy send one, or set the gateway's proxy-protocol to Optional"}
	case errors.Is(err, errNoProxyHeader):
		return peer, 0, nil
	case mode == ProxyProtocolDisabled:
		return peer, 0, &proxyRefusal{"this port does not take the PROXY protocol: set the gateway's proxy-protocol, " +
			"or let the proxy send none"}
	case !s.options.Proxies.trusts(peer.Addr()):
		return peer, 0, &proxyRefusal{fmt.Sprintf("the PROXY protocol is taken only from the gateway's trusted-proxies, "+
			"and %v is none of them", peer.Addr())}
	case err != nil:
		return peer, 0, &proxyRefusal{err.Error()}
	case !header.source.IsValid():
		return peer, header.bytes, nil
	}
	return header.source, header.bytes, nil
}

// refuseProxyHeader counts and logs a refusal.
func (s *Server) refuseProxyHeader(r *proxyRefusal, peer netip.AddrPort) {
	s.options.Observer.ConnectionRefused(refusedProxyProtocol)
	s.proxyRefusals.Warn("connection refused for its PROXY protocol header",
		slog.String("reason", r.message), slog.String("peer", peer.String()))
}
