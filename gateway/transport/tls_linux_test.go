package transport

import (
	"bytes"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/certwatcher/certtest"
)

// recorder keeps what is written once it is told to.
type recorder struct {
	net.Conn
	on   bool
	wire bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.on {
		return r.wire.Write(b)
	}
	return r.Conn.Write(b)
}

// However records are cut, crypto/tls must take up where it was left.
func TestTLSGoesOnAtEverySplit(t *testing.T) {
	pair := certtest.New(t, "gateway")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			near, far := net.Pipe()
			peer := &recorder{Conn: near}
			config := certtest.Client(t, pair)
			config.MaxVersion = version
			client := tls.Client(peer, config)
			socket := &tlsSocket{Conn: far}
			socket.tls = tls.Server(socket, pair.Server(t))
			shaken := make(chan error, 1)
			go func() { shaken <- client.Handshake() }()
			require.NoError(t, socket.tls.Handshake())
			require.NoError(t, <-shaken)
			peer.on = true
			socket.Conn, socket.wire = nil, &pollWire{fd: closedFD}

			message := strings.Repeat("0123456789", 3)
			for cut := 0; ; cut++ {
				peer.wire.Reset()
				// Two records, so that one may be whole while the other is not.
				for _, half := range []string{message[:7], message[7:]} {
					_, err := client.Write([]byte(half))
					require.NoError(t, err)
				}
				sealed := peer.wire.Bytes()
				if cut > len(sealed) {
					break
				}
				var got []byte
				deliver := func(b []byte) bool {
					got = append(got, b...)
					return true
				}
				require.NoError(t, socket.open(sealed[:cut], deliver))
				require.NoError(t, socket.open(nil, deliver), "a look without anything new does no harm")
				require.NoError(t, socket.open(sealed[cut:], deliver))
				require.Equal(t, message, string(got))
			}
		})
	}
}
