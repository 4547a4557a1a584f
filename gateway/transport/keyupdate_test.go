package transport_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/certtest"
)

// Content types of TLS 1.3 records, RFC 8446 section 5.1.
const (
	recordHandshake   = 22
	recordApplication = 23
)

// recordLayer is one direction of a TLS 1.3 connection, RFC 8446 section 5.2. crypto/tls answers key
// updates but cannot begin them, so the test takes the connection over from it.
type recordLayer struct {
	t      *testing.T
	suite  uint16
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

func (h *recordLayer) use(secret []byte, seq uint64) {
	h.t.Helper()
	h.aead = h.cipher(secret)
	h.iv, h.secret, h.seq = h.expand(secret, "iv", 12), secret, seq
}

// cipher returns the cipher of the suite, section 9.1. crypto/tls chooses the suite by the processor.
func (h *recordLayer) cipher(secret []byte) (aead cipher.AEAD) {
	h.t.Helper()
	var err error
	switch h.suite {
	case tls.TLS_AES_128_GCM_SHA256:
		var block cipher.Block
		block, err = aes.NewCipher(h.expand(secret, "key", 16))
		require.NoError(h.t, err)
		aead, err = cipher.NewGCM(block)
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		aead, err = chacha20poly1305.New(h.expand(secret, "key", chacha20poly1305.KeySize))
	default:
		require.FailNow(h.t, "unknown suite", tls.CipherSuiteName(h.suite))
	}
	require.NoError(h.t, err)
	return aead
}

// update changes to the next keys, section 7.2.
func (h *recordLayer) update() {
	h.t.Helper()
	h.use(h.expand(h.secret, "traffic upd", sha256.Size), 0)
}

// expand is HKDF-Expand-Label without a context, section 7.1.
func (h *recordLayer) expand(secret []byte, label string, length int) []byte {
	h.t.Helper()
	label = "tls13 " + label
	info := string(binary.BigEndian.AppendUint16(nil, uint16(length))) + string(rune(len(label))) + label + "\x00"
	out, err := hkdf.Expand(sha256.New, secret, info, length)
	require.NoError(h.t, err)
	return out
}

func (h *recordLayer) nonce() []byte {
	nonce := bytes.Clone(h.iv)
	seq := binary.BigEndian.AppendUint64(nil, h.seq)
	for i := range seq {
		nonce[len(nonce)-len(seq)+i] ^= seq[i]
	}
	h.seq++
	return nonce
}

func (h *recordLayer) seal(kind byte, content string) []byte {
	inner := append([]byte(content), kind)
	header := binary.BigEndian.AppendUint16([]byte{recordApplication, 3, 3}, uint16(len(inner)+h.aead.Overhead()))
	return h.aead.Seal(header, h.nonce(), inner, header)
}

func (h *recordLayer) open(r io.Reader) (kind byte, content string) {
	h.t.Helper()
	header := make([]byte, 5)
	_, err := io.ReadFull(r, header)
	require.NoError(h.t, err)
	sealed := make([]byte, binary.BigEndian.Uint16(header[3:]))
	_, err = io.ReadFull(r, sealed)
	require.NoError(h.t, err)
	inner, err := h.aead.Open(nil, h.nonce(), sealed, header)
	require.NoError(h.t, err)
	return inner[len(inner)-1], string(inner[:len(inner)-1])
}

// A client may change its keys at any time, and request that the gateway does the same.
func TestTLSConnHandlesKeyUpdates(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		pair := certtest.New(t, "gateway")
		server := pair.Server(t)
		server.SessionTicketsDisabled = true
		wrap := func(s *transport.Server, l net.Listener) net.Listener { return s.TLSListener(l, server) }
		_, url := serveBehind(t, wrap, func(*http.Request) (transport.Handler, error) { return echo(), nil }, driver)
		nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		defer func() { _ = nc.Close() }()
		require.NoError(t, nc.SetDeadline(time.Now().Add(waitTimeout)))

		var secrets bytes.Buffer
		config := certtest.Client(t, pair)
		config.MinVersion, config.KeyLogWriter = tls.VersionTLS13, &secrets
		c := tls.Client(nc, config)
		require.NoError(t, c.Handshake())
		suite := c.ConnectionState().CipherSuite
		// Exchange one record in each direction.
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		r.Header = handshake()
		var request bytes.Buffer
		require.NoError(t, r.Write(&request))
		_, err = c.Write(request.Bytes())
		require.NoError(t, err)
		n, err := c.Read(make([]byte, 4096))
		require.NoError(t, err)
		require.Positive(t, n)

		in, out := &recordLayer{t: t, suite: suite}, &recordLayer{t: t, suite: suite}
		for line := range strings.Lines(secrets.String()) {
			fields := strings.Fields(line)
			secret, err := hex.DecodeString(fields[2])
			require.NoError(t, err)
			switch fields[0] {
			case "CLIENT_TRAFFIC_SECRET_0":
				out.use(secret, 1)
			case "SERVER_TRAFFIC_SECRET_0":
				in.use(secret, 1)
			}
		}
		send := func(kind byte, content string) {
			t.Helper()
			_, err := nc.Write(out.seal(kind, content))
			require.NoError(t, err)
		}
		echoed := func() {
			t.Helper()
			send(recordApplication, "\x81\x82\x00\x00\x00\x00hi")
			kind, content := in.open(nc)
			require.Equal(t, byte(recordApplication), kind)
			require.Equal(t, "\x81\x02hi", content)
		}
		echoed()
		for range 3 {
			// A key update that requests one of the gateway.
			send(recordHandshake, "\x18\x00\x00\x01\x01")
			out.update()
			kind, content := in.open(nc)
			require.Equal(t, byte(recordHandshake), kind)
			require.Equal(t, "\x18\x00\x00\x01\x00", content)
			in.update()
			echoed()
			// A key update without a request, in two records.
			send(recordHandshake, "\x18\x00")
			send(recordHandshake, "\x00\x01\x00")
			out.update()
			echoed()
		}
	})
}
