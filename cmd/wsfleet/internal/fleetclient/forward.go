package fleetclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

const (
	// requestID is the number of the connection in its port-forward, which has one only.
	requestID = "0"
	// reasonTimeout is how long to wait for the reason of a connection that ended.
	reasonTimeout = time.Second
	// maxReasonBytes is the maximum length in bytes of such a reason.
	maxReasonBytes = 1 << 10
)

// forwards connects to ports of pods by port-forwards of the API server. Each connection has a port-forward of its own,
// so that no port of the user's machine is opened.
type forwards struct {
	config    *rest.Config
	namespace string
	pods      rest.Interface
}

// newForwards returns forwards to the pods of a namespace. It returns an error when config cannot be used.
func newForwards(config *rest.Config, namespace string) (*forwards, error) {
	own := rest.CopyConfig(config)
	own.GroupVersion, own.APIPath = &corev1.SchemeGroupVersion, "/api"
	own.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	pods, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return &forwards{config: own, namespace: namespace, pods: pods}, nil
}

// dial connects to address, which is the name of a pod and a port. It blocks until the API server has answered or ctx
// ends. It returns an error when the API server or the kubelet refuses.
func (f *forwards) dial(ctx context.Context, _, address string) (net.Conn, error) {
	pod, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("port-forward to %s: %w", address, err)
	}
	dialer, err := f.dialer(pod)
	if err != nil {
		return nil, err
	}
	type result struct {
		conn *forwardedConn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := connect(dialer, port)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("port-forward to %s: %w", address, r.err)
		}
		return r.conn, nil
	case <-ctx.Done():
		// The dialer takes no context, so the connection may still come.
		go func() {
			if r := <-done; r.err == nil {
				_ = r.conn.Close()
			}
		}()
		return nil, fmt.Errorf("port-forward to %s: %w", address, ctx.Err())
	}
}

// dialer returns what opens a port-forward to a pod: over a WebSocket, or over SPDY where the API server or a proxy
// does not let a WebSocket through.
func (f *forwards) dialer(pod string) (httpstream.Dialer, error) {
	target := f.pods.Post().Resource("pods").Namespace(f.namespace).Name(pod).SubResource("portforward").URL()
	overSPDY, err := spdyDialer(f.config, target)
	if err != nil {
		return nil, err
	}
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, f.config)
	if err != nil {
		return nil, fmt.Errorf("prepare a port-forward: %w", err)
	}
	return portforward.NewFallbackDialerForStreaming(overWebSocket, overSPDY, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

func spdyDialer(config *rest.Config, target *url.URL) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("prepare a port-forward: %w", err)
	}
	return spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target), nil
}

// connect opens a port-forward with one connection to a port.
func connect(dialer httpstream.Dialer, port string) (*forwardedConn, error) {
	forward, protocol, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller wraps it
	}
	conn, err := openStreams(forward, port)
	if err == nil && protocol != portforward.PortForwardProtocolV1Name {
		err = fmt.Errorf("the API server speaks %q and not %q", protocol, portforward.PortForwardProtocolV1Name)
	}
	if err != nil {
		_ = forward.Close()
		return nil, err
	}
	return conn, nil
}

// openStreams opens the two streams of a connection: one for data, and one on which the kubelet says why it ends it.
func openStreams(forward httpstream.Connection, port string) (*forwardedConn, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, requestID)
	reasons, err := forward.CreateStream(headers)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller wraps it
	}
	// Nothing is written to it.
	_ = reasons.Close()
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := forward.CreateStream(headers)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller wraps it
	}
	conn := &forwardedConn{forward: forward, data: data, port: port, reason: make(chan string, 1)}
	go func() {
		reason, _ := io.ReadAll(io.LimitReader(reasons, maxReasonBytes))
		conn.reason <- strings.TrimSpace(string(reason))
	}()
	return conn, nil
}

// forwardedConn is one connection to a port of a pod. It has no deadlines: the HTTP client closes it when a request
// takes too long.
type forwardedConn struct {
	forward httpstream.Connection
	data    httpstream.Stream
	port    string
	// reason receives once why the kubelet has ended the connection, or "".
	reason chan string
}

// Read reads what the pod sends. At the end it returns the kubelet's reason where there is one, and io.EOF otherwise.
func (c *forwardedConn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if err == nil || !errors.Is(err, io.EOF) {
		return n, err //nolint:wrapcheck // as the stream's
	}
	select {
	case reason := <-c.reason:
		if reason != "" {
			return n, errors.New(reason)
		}
	case <-time.After(reasonTimeout):
	}
	return n, err //nolint:wrapcheck // as the stream's
}

// Write sends to the pod. It returns the stream's error.
func (c *forwardedConn) Write(p []byte) (int, error) {
	return c.data.Write(p) //nolint:wrapcheck // as the stream's
}

// Close ends the port-forward.
func (c *forwardedConn) Close() error {
	_ = c.data.Reset()
	return c.forward.Close() //nolint:wrapcheck // as the stream's
}

// LocalAddr returns an address in name only.
func (c *forwardedConn) LocalAddr() net.Addr { return forwardedAddr("local") }

// RemoteAddr returns an address in name only.
func (c *forwardedConn) RemoteAddr() net.Addr { return forwardedAddr("pod:" + c.port) }

// SetDeadline does nothing.
func (c *forwardedConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *forwardedConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *forwardedConn) SetWriteDeadline(time.Time) error { return nil }

// forwardedAddr is an end of a port-forward.
type forwardedAddr string

// Network returns the kind of address.
func (forwardedAddr) Network() string { return "port-forward" }

// String returns the address.
func (a forwardedAddr) String() string { return string(a) }
