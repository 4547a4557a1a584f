package transport

import (
	"bytes"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/certtest"
)

// recordingConn records what is written once recording is set.
type recordingConn struct {
	net.Conn
	recording bool
	written   bytes.Buffer
}

func (r *recordingConn) Write(b []byte) (int, error) {
	if r.recording {
		return r.written.Write(b)
	}
	return r.Conn.Write(b)
}

// crypto/tls continues after every cut of the records.
func TestTLSSocketDecryptsAtEverySplit(t *testing.T) {
	pair := certtest.New(t, "gateway")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			near, far := net.Pipe()
			tcp := &recordingConn{Conn: near}
			config := certtest.Client(t, pair)
			config.MaxVersion = version
			client := tls.Client(tcp, config)
			socket := &tlsSocket{Conn: far}
			socket.tls = tls.Server(socket, pair.Server(t))
			handshaken := make(chan error, 1)
			go func() { handshaken <- client.Handshake() }()
			require.NoError(t, socket.tls.Handshake())
			require.NoError(t, <-handshaken)
			tcp.recording = true
			socket.Conn, socket.driver = nil, &epollDriver{fd: closedFD}

			message := strings.Repeat("0123456789", 3)
			for cut := 0; ; cut++ {
				tcp.written.Reset()
				// Write two records, so that one can be complete while the other is not.
				for _, half := range []string{message[:7], message[7:]} {
					_, err := client.Write([]byte(half))
					require.NoError(t, err)
				}
				encrypted := tcp.written.Bytes()
				if cut > len(encrypted) {
					break
				}
				var got []byte
				deliver := func(b []byte) { got = append(got, b...) }
				require.NoError(t, socket.decrypt(encrypted[:cut], deliver))
				require.NoError(t, socket.decrypt(nil, deliver), "nothing new")
				require.NoError(t, socket.decrypt(encrypted[cut:], deliver))
				require.Equal(t, message, string(got))
			}
		})
	}
}
