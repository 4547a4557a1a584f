package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tap is the port to which one client connects. It passes all bytes on to HAProxy, reports what it sees of them, and
// can reset the client's connection.
type tap struct {
	listener net.Listener
	feed     *feed
	stack    *stack
	// channel is the one that a rewritten request asks for.
	channel string
	// token is added to the first request, as if the application had given it. Later requests go without it.
	token string
	// upgraded is called after the client got its 101.
	upgraded func()

	// mu guards the fields below.
	mu       sync.Mutex
	upstream string
	// clients are the connections to the client, servers those to HAProxy.
	clients, servers []net.Conn
}

// newTap listens on a free port and passes connections on to the address. The test's end closes it.
func newTap(t *testing.T, s *stack, channel, upstream string, upgraded func()) *tap {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tap{
		listener: listener,
		feed:     newFeed(),
		stack:    s,
		channel:  channel,
		upgraded: upgraded,
		upstream: upstream,
	}
	t.Cleanup(func() {
		_ = listener.Close()
		p.reset()
	})
	go p.accept(t.Context())
	return p
}

// lead passes connections on to another address from now on.
func (p *tap) lead(upstream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upstream = upstream
}

// reset ends all connections with a TCP reset. Clients come first: the end of a connection to HAProxy would be passed
// on as an orderly end.
func (p *tap) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range slices.Concat(p.clients, p.servers) {
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		_ = conn.Close()
	}
	p.clients, p.servers = nil, nil
}

func (p *tap) track(conns *[]net.Conn, conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*conns = append(*conns, conn)
}

func (p *tap) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.track(&p.clients, conn)
		go p.serve(ctx, conn)
	}
}

// serve passes one connection on until either side ends it.
func (p *tap) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	fromClient := bufio.NewReader(client)
	request, err := readHead(fromClient)
	if err != nil {
		return
	}
	p.mu.Lock()
	upstream := p.upstream
	p.mu.Unlock()
	p.feed.add(event{Kind: kindAttempt})
	server, err := new(net.Dialer).DialContext(ctx, "tcp", upstream)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.track(&p.servers, server)
	if _, err := server.Write(p.rewriteRequest(request)); err != nil {
		return
	}
	fromServer := bufio.NewReader(server)
	response, err := readHead(fromServer)
	if err != nil {
		return
	}
	if _, err := client.Write(p.rewriteResponse(response)); err != nil {
		return
	}
	status := statusOf(response)
	p.feed.add(event{Kind: kindStatus, Code: status})
	if status == 101 && p.upgraded != nil {
		p.upgraded()
	}
	p.relay(client, server, fromClient, fromServer)
}

// relay copies both directions. A direction that ends closes the other side's writing half. Messages of a stack with a
// protocol of its own end here: the gateway would publish them, and the stack would hear itself.
func (p *tap) relay(client, server net.Conn, fromClient, fromServer io.Reader) {
	var both sync.WaitGroup
	both.Go(func() {
		to := io.MultiWriter(server, &frames{saw: p.sawFrame})
		if p.stack.muted {
			to = &frames{saw: p.sawFrame, control: server}
		}
		_, _ = io.Copy(to, fromClient)
		closeWrite(server)
	})
	_, _ = io.Copy(client, fromServer)
	p.feed.add(event{Kind: kindGone})
	closeWrite(client)
	both.Wait()
}

func closeWrite(conn net.Conn) {
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
}

// sawFrame reports the client's control frames, and the first fragments of its messages.
func (p *tap) sawFrame(final bool, opcode byte, payload []byte) {
	switch {
	case !final && opcode != 0:
		p.feed.add(event{Kind: kindFragment})
	case opcode == 10, opcode == 1 && string(payload) == "{}": // The Centrifuge protocol has pongs of its own.
		p.feed.add(event{Kind: kindPong})
	case opcode == 8 && len(payload) >= 2:
		p.feed.add(event{Kind: kindClose, Code: int(binary.BigEndian.Uint16(payload))})
	}
}

// rewriteRequest gives the request of a stack that does not let its application choose the path, that of the plain
// protocol, as the rule of an ingress would, and adds the token.
func (p *tap) rewriteRequest(head []byte) []byte {
	line, rest, _ := bytes.Cut(head, []byte(" HTTP/1.1\r\n"))
	if p.stack.rewrite {
		line = []byte("GET /ws?channel=" + p.channel)
	}
	if p.token != "" {
		line = fmt.Appendf(nil, "%s&token=%s", line, p.token)
		p.token = ""
	}
	return slices.Concat(line, []byte(" HTTP/1.1\r\n"), rest)
}

// rewriteResponse adds the subprotocol that the stack insists on.
func (p *tap) rewriteResponse(head []byte) []byte {
	if p.stack.subprotocol == "" || statusOf(head) != 101 {
		return head
	}
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	return fmt.Appendf(nil, "%s\r\nSec-WebSocket-Protocol: %s\r\n%s", line, p.stack.subprotocol, rest)
}

// readHead reads a request or a response up to its empty line.
func readHead(r *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		line, err := r.ReadBytes('\n')
		head = append(head, line...)
		if err != nil || len(line) <= 2 {
			return head, err
		}
	}
}

// statusOf returns the status of a response; 0 when it has none.
func statusOf(head []byte) int {
	if fields := strings.Fields(string(head)); len(fields) > 1 {
		status, _ := strconv.Atoi(fields[1])
		return status
	}
	return 0
}

// frames reads the frames in what is written to it, RFC 6455, section 5.2. It keeps no more than one frame.
type frames struct {
	// control gets the control frames as they are, unless it is nil.
	control io.Writer
	saw     func(final bool, opcode byte, payload []byte)
	buf     []byte
}

// Write implements io.Writer. It returns the error of control.
func (f *frames) Write(p []byte) (int, error) {
	f.buf = append(f.buf, p...)
	for {
		header, length, ok := frameSize(f.buf)
		if !ok || len(f.buf) < header+length {
			return len(p), nil
		}
		payload := bytes.Clone(f.buf[header : header+length])
		if f.buf[1]&0x80 != 0 {
			for i := range payload {
				payload[i] ^= f.buf[header-4+i%4]
			}
		}
		opcode := f.buf[0] & 0x0f
		f.saw(f.buf[0]&0x80 != 0, opcode, payload)
		if f.control != nil && opcode >= 8 {
			if _, err := f.control.Write(f.buf[:header+length]); err != nil {
				return 0, err
			}
		}
		f.buf = f.buf[header+length:]
	}
}

// frameSize returns the lengths of a frame's header and payload, and false while the header is not complete.
func frameSize(b []byte) (header, length int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	header, length = 2, int(b[1]&0x7f)
	switch length {
	case 126:
		header = 4
	case 127:
		header = 10
	}
	if len(b) < header {
		return 0, 0, false
	}
	switch header {
	case 4:
		length = int(binary.BigEndian.Uint16(b[2:]))
	case 10:
		length = int(binary.BigEndian.Uint64(b[2:]))
	}
	if b[1]&0x80 != 0 {
		header += 4
	}
	return header, length, len(b) >= header
}
