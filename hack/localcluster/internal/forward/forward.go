// Package forward carries TCP connections from a listener on the machine to an
// address inside a cluster's network. It runs inside that network; only the
// listener comes from outside.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const dialTimeout = 10 * time.Second

// Forwarder forwards the connections of a listener.
type Forwarder struct {
	// To is the target, HOST:PORT.
	To string
	// Dial connects to the target.
	Dial Dialer
	Log  *slog.Logger
}

// Dialer connects to an address.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Resolving returns a dialer that resolves names with the cluster's DNS and connects with a dialer for addresses. The
// name of a Service may be short, as in "web.default.svc:80".
func Resolving(dial Dialer, dnsAddress, domain string) Dialer {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, "tcp", dnsAddress)
		},
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if net.ParseIP(host) != nil {
			return dial(ctx, network, address)
		}
		found, err := resolver.LookupHost(ctx, qualify(host, domain))
		if err != nil {
			return nil, err
		}
		return dial(ctx, network, net.JoinHostPort(found[0], port))
	}
}

// qualify completes the name of a Service to one that needs no search list.
func qualify(host, domain string) string {
	if strings.HasSuffix(host, ".svc") {
		host += "." + domain
	}
	return strings.TrimSuffix(host, ".") + "."
}

// CheckTarget returns an error when to is not HOST:PORT.
func CheckTarget(to string) error {
	host, port, err := net.SplitHostPort(to)
	if err != nil || host == "" {
		return fmt.Errorf("--to %q: expected HOST:PORT, such as 10.96.0.10:53 or web.default.svc:80", to)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("--to %q: port %q: expected a number from 1 to 65535", to, port)
	}
	return nil
}

// Serve forwards until the listener is closed or the context ends, and then waits for the open connections to end,
// which the context ends too. It retries when accepting fails, and returns no error.
func (f *Forwarder) Serve(ctx context.Context, listener net.Listener) error {
	var under sync.WaitGroup
	defer under.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		client, err := listener.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// The process is out of descriptors, or the client has reset the connection: the next attempt may succeed.
			f.Log.Warn("accept failed", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		under.Go(func() { f.carry(ctx, client) })
	}
}

func (f *Forwarder) carry(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	server, err := f.Dial(dialing, "tcp", f.To)
	cancel()
	if err != nil {
		f.Log.Warn("target not reached", "to", f.To, "error", err)
		abort(client)
		return
	}
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()

	var both sync.WaitGroup
	both.Go(func() { pass(client, server) })
	both.Go(func() { pass(server, client) })
	both.Wait()
}

// pass copies one direction, and then ends the other side as this side has ended: with an orderly end of stream or with
// a reset. A test of how a server closes connections must see the same through a forward.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		abort(to)
		abort(from)
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		err = half.CloseWrite()
	} else {
		err = to.Close()
	}
	if err != nil && !errors.Is(err, syscall.ENOTCONN) && !errors.Is(err, net.ErrClosed) {
		abort(from)
	}
}

// abort ends a connection with a reset.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
