package wsclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestClosedReconnect(t *testing.T) {
	for code, want := range map[int]bool{
		NoCloseFrame: true, 1000: false, 1001: true, 1008: false, 1009: false, 1012: true, 1013: true, 1014: true,
		3001: true, 3012: true, 3499: true, 3500: false, 3999: false, 4000: true, 4499: true, 4500: false,
	} {
		if got := (&Closed{Code: code}).Reconnect(); got != want {
			t.Errorf("Reconnect after %d is %v, want %v", code, got, want)
		}
	}
}

// startServer accepts every handshake and then calls do with the connection.
func startServer(t *testing.T, do func(*websocket.Conn)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		do(conn)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestReceiveReportsCloseCodeOrCut(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*websocket.Conn)
		code int
	}{
		"close frame": {func(c *websocket.Conn) { _ = c.Close(1012, "service restart") }, 1012},
		"cut":         {func(c *websocket.Conn) { _ = c.CloseNow() }, NoCloseFrame},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := Dial(t.Context(), Plain, startServer(t, c.end), "x", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = conn.Receive(t.Context())
			var closed *Closed
			if !errors.As(err, &closed) || closed.Code != c.code {
				t.Fatalf("got %v, want close code %d", err, c.code)
			}
		})
	}
}

func TestDialReportsRefusedStatus(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	_, err := Dial(t.Context(), Plain, strings.TrimPrefix(s.URL, "http://"), "x", nil)
	var refused *Refused
	if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || refused.RetryAfter != "7" {
		t.Fatalf("got %v, want a refusal with 503 and Retry-After 7", err)
	}
}

func TestDialTLSTrustsTheCertificateOnly(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "https://")
	trusting := s.Client().Transport.(*http.Transport).TLSClientConfig
	conn, err := DialTLS(t.Context(), Plain, address, "x", nil, trusting)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow()
	var unknown x509.UnknownAuthorityError
	if _, err = DialTLS(t.Context(), Plain, address, "x", nil, &tls.Config{}); !errors.As(err, &unknown) {
		t.Fatalf("got %v, want that the certificate is not trusted", err)
	}
}

func TestReceiveReportsRefusedPublish(t *testing.T) {
	address := startServer(t, func(c *websocket.Conn) {
		defer func() { _ = c.CloseNow() }()
		for _, answer := range []string{`{"id":1,"connect":{}}`, `{"id":2,"subscribe":{}}`,
			`{"id":3,"error":{"code":100,"message":"no broker"}}`} {
			if _, _, err := c.Read(t.Context()); err != nil {
				return
			}
			if err := c.Write(t.Context(), websocket.MessageText, []byte(answer)); err != nil {
				return
			}
		}
		_, _, _ = c.Read(t.Context())
	})
	conn, err := Dial(t.Context(), Centrifuge, address, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Publish(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err = conn.Receive(t.Context()); err == nil || !strings.Contains(err.Error(), "100: no broker") {
		t.Fatalf("got %v, want the gateway's answer", err)
	}
}
