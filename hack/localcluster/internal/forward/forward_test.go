package forward

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
)

// connect starts a forwarder before a server that treats its one connection
// with handle, and returns the client's end.
func connect(t *testing.T, handle func(*net.TCPConn)) *net.TCPConn {
	t.Helper()
	server, listener := listen(t), listen(t)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		handle(conn.(*net.TCPConn))
	}()
	return through(t, listener, server.Addr().String())
}

func through(t *testing.T, listener net.Listener, to string) *net.TCPConn {
	t.Helper()
	return throughDialer(t, listener, to, new(net.Dialer).DialContext)
}

func throughDialer(t *testing.T, listener net.Listener, to string, dial Dialer) *net.TCPConn {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &Forwarder{To: to, Dial: dial, Log: slog.New(slog.DiscardHandler)}
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestForwarderKeepsOrderlyEnd(t *testing.T) {
	client := connect(t, func(conn *net.TCPConn) {
		defer func() { _ = conn.Close() }()
		heard, err := io.ReadAll(conn) // until the client has said all
		if err != nil {
			t.Error(err)
		}
		_, _ = conn.Write([]byte(strings.ToUpper(string(heard))))
	})
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(client)
	if err != nil || string(got) != "HELLO" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestForwarderKeepsReset(t *testing.T) {
	t.Run("of the server", func(t *testing.T) {
		client := connect(t, abortAfterAByte)
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(client); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, expected a reset", err)
		}
	})
	t.Run("of the client", func(t *testing.T) {
		seen := make(chan error, 1)
		client := connect(t, func(conn *net.TCPConn) {
			defer func() { _ = conn.Close() }()
			_, err := io.ReadAll(conn)
			seen <- err
		})
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		abort(client)
		if err := <-seen; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server saw %v, expected a reset", err)
		}
	})
}

func abortAfterAByte(conn *net.TCPConn) {
	_, _ = conn.Read(make([]byte, 1))
	abort(conn)
}

func TestForwarderResetsWithoutTarget(t *testing.T) {
	gone := listen(t)
	to := gone.Addr().String()
	_ = gone.Close()
	connected := make(chan struct{})
	client := throughDialer(t, listen(t), to, func(ctx context.Context, network, address string) (net.Conn, error) {
		<-connected // else the reset may come before the client is told that it is connected
		return new(net.Dialer).DialContext(ctx, network, address)
	})
	close(connected)
	if _, err := io.ReadAll(client); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, expected a reset", err)
	}
}

func TestServeEndsConnectionsWithContext(t *testing.T) {
	server, listener := listen(t), listen(t)
	f := &Forwarder{To: server.Addr().String(), Dial: new(net.Dialer).DialContext, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx, listener) }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	inside, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Close() }()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("ended with %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

func TestQualify(t *testing.T) {
	for host, want := range map[string]string{
		"web.default.svc":                "web.default.svc.cluster.local.",
		"web.default.svc.cluster.local":  "web.default.svc.cluster.local.",
		"web.default.svc.cluster.local.": "web.default.svc.cluster.local.",
	} {
		if got := qualify(host, "cluster.local"); got != want {
			t.Errorf("%s: got %s, expected %s", host, got, want)
		}
	}
}

func TestCheckTarget(t *testing.T) {
	for _, to := range []string{"10.96.0.10:53", "web.default.svc:80", "[fd00::1]:80"} {
		if err := CheckTarget(to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, to := range []string{"", "web", ":80", "web:", "web:70000", "web:x y"} {
		if err := CheckTarget(to); err == nil || !strings.Contains(err.Error(), "--to") {
			t.Errorf("%q: got %v, expected an error that names --to", to, err)
		}
	}
}
