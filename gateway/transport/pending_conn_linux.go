package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsfleet/wsfleet/internal/recovery"
)

// pendingConn is a connection whose first request was not received completely.
type pendingConn struct {
	listener *handshakeListener
	loop     *eventLoop
	// since is when it was accepted, on the timing wheel's clock.
	since time.Duration
	// timer fires when the handshake takes too long.
	timer timer
	// older and newer link the listener's list. The listener's lock guards them.
	older, newer *pendingConn

	// mu is held over each system call on fd. It guards the fields below.
	mu sync.Mutex
	fd int32
	// address is the client's: that of the TCP connection, or the one in its PROXY protocol header.
	address netip.AddrPort
	// proxied reports that address comes from such a header.
	proxied bool
	// begun reports that the request begins at the start of head: such a header was removed, or there is none.
	begun bool
	// head is what was received so far.
	head []byte
}

// maxHeadBytes limits a request's head that is read here. The HTTP server refuses longer ones.
const maxHeadBytes = 16 << 10

// register adds the socket to the loop unless it was closed meanwhile, when its number may belong to
// another socket. It returns the error of epoll_ctl.
func (p *pendingConn) register() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd == closedFD {
		return nil
	}
	return p.loop.add(p.fd, p, unix.EPOLLIN|unix.EPOLLONESHOT)
}

// readable implements fdHandler. It reads more of the request; a worker serves a complete one.
func (p *pendingConn) readable(buffer []byte) {
	p.mu.Lock()
	if p.fd == closedFD {
		p.mu.Unlock()
		return
	}
	n, err := unix.Read(int(p.fd), buffer)
	if err != nil && isTemporary(err) {
		n = 0
	} else if n <= 0 {
		p.mu.Unlock()
		p.close()
		return
	}
	p.head = append(p.head, buffer[:n]...)
	waits, refusal := p.examine()
	if waits {
		// Wait for the rest of the head.
		err := p.loop.modify(p.fd, unix.EPOLLIN|unix.EPOLLONESHOT)
		p.mu.Unlock()
		if err != nil {
			p.close()
		}
		return
	}
	fd := p.fd
	p.fd = closedFD
	p.mu.Unlock()
	p.remove()
	// Endpoint.Accept may wait for the broker, so it must not run in the loop.
	p.listener.server.workers.start(handshakeJob{p, fd, refusal})
}

// isUnread reports whether the client has sent something that was not read.
func (p *pendingConn) isUnread() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd == closedFD {
		return false
	}
	unread, err := unix.IoctlGetInt(int(p.fd), unix.TIOCINQ)
	return err == nil && unread > 0
}

// examine reports whether the rest of the first request has to be waited for. It removes a PROXY protocol header. The
// refusal is not nil when that header, or its absence, ends the connection. The caller holds the lock.
func (p *pendingConn) examine() (waits bool, refusal *proxyRefusal) {
	if !p.begun {
		client, skip, err := p.listener.server.readProxyHeader(p.head, p.address)
		if errors.Is(err, errPartialProxyHeader) {
			return true, nil
		}
		if refused, ok := errors.AsType[*proxyRefusal](err); ok {
			return false, refused
		}
		p.begun, p.proxied, p.address, p.head = true, client != p.address, client, p.head[skip:]
	}
	return !hasCompleteHead(p.head) && mayBecomeRequest(p.head) && len(p.head) < maxHeadBytes, nil
}

// writable implements fdHandler.
func (p *pendingConn) writable() {}

// onTimer implements timerOwner. It closes the connection: its handshake has taken too long.
func (p *pendingConn) onTimer(time.Duration) {
	if p.close() {
		p.listener.server.options.Observer.ConnectionRefused(refusedTimeout)
	}
}

// remove takes the connection off the listener's list and stops its timer.
func (p *pendingConn) remove() {
	p.listener.server.wheel.clear(&p.timer)
	p.listener.mu.Lock()
	defer p.listener.mu.Unlock()
	p.listener.pending.remove(p)
}

// close closes the connection unless it is no longer pending, and reports whether it was.
func (p *pendingConn) close() bool {
	p.mu.Lock()
	pending := p.fd != closedFD
	if pending {
		p.loop.forget(p.fd)
		_ = unix.Close(int(p.fd))
		p.fd = closedFD
	}
	p.mu.Unlock()
	p.remove()
	return pending
}

// handshakeJob serves a connection whose request was received completely. It owns the socket.
type handshakeJob struct {
	*pendingConn
	fd int32
	// refusal is nil for a connection that is served.
	refusal *proxyRefusal
}

// run implements job.
func (j handshakeJob) run() {
	if j.refusal == nil {
		j.serve(j.fd)
		return
	}
	u := &socketUpgrader{pendingConn: j.pendingConn, fd: j.fd}
	defer u.close()
	j.listener.server.refuseProxyHeader(j.refusal, j.address)
	// The gateway does not wait for a client that does not read.
	_, _ = unix.Write(int(j.fd), []byte(j.refusal.response()))
}

// serve answers a handshake, and passes every other request to the HTTP server.
func (p *pendingConn) serve(fd int32) {
	if r, early, ok := parseHandshake(p.head); ok {
		if e := p.listener.routes.find(r); e != nil {
			r.RemoteAddr = p.address.String()
			p.serveHandshake(&socketUpgrader{pendingConn: p, fd: fd, early: early}, r, e)
			return
		}
	}
	p.loop.forget(fd)
	p.passToHTTP(fd)
}

// serveHandshake answers a handshake. A panic closes this connection and leaves the others alone.
func (p *pendingConn) serveHandshake(u *socketUpgrader, r *http.Request, e *Endpoint) {
	defer func() {
		if v := recover(); v != nil {
			logger := p.listener.server.options.Logger
			logger.Error("handshake failed", slog.String("protocol", e.Protocol), recovery.Attr(v))
			if !u.upgraded {
				u.close()
			}
		}
	}()
	p.listener.server.serve(u, r, e)
}

// passToHTTP lets the HTTP server accept the connection.
func (p *pendingConn) passToHTTP(fd int32) {
	file := os.NewFile(uintptr(fd), "")
	nc, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		return
	}
	prefixed := &prefixedConn{Conn: nc, prefix: p.head}
	if p.proxied {
		prefixed.remote = net.TCPAddrFromAddrPort(p.address)
	}
	select {
	case p.listener.httpConns <- prefixed:
	case <-p.listener.done:
		_ = nc.Close()
	}
}

// socketUpgrader answers a handshake that the event loop received.
type socketUpgrader struct {
	*pendingConn
	fd    int32
	early []byte
	// upgraded reports that a driver owns the socket.
	upgraded bool
}

// upgrade implements upgrader.
func (u *socketUpgrader) upgrade(c *conn, response []byte) (driver, []byte, error) {
	// The send buffer of a new socket has room for the response.
	n, err := unix.Write(int(u.fd), response)
	if err == nil && n < len(response) {
		err = io.ErrShortWrite
	}
	if err != nil {
		u.close()
		return nil, nil, fmt.Errorf("answer the handshake: %w", err)
	}
	u.upgraded = true
	return &epollDriver{conn: c, loop: u.loop, fd: u.fd}, u.early, nil
}

// refuse implements upgrader.
func (u *socketUpgrader) refuse(status int, header http.Header, message string, delay time.Duration) {
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(message)+1))
	b := bytes.NewBufferString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	// Writing to a buffer does not fail.
	_ = header.Write(b)
	_, _ = b.WriteString("\r\n" + message + "\n")
	u.listener.server.holdSocket(u.loop, u.fd, b.Bytes(), delay)
}

// close closes the socket.
func (u *socketUpgrader) close() {
	u.loop.forget(u.fd)
	_ = unix.Close(int(u.fd))
}

// pendingList is a linked list of pending connections, in the order in which they were accepted.
type pendingList struct {
	oldest, newest *pendingConn
	count          int
}

// add appends a connection.
func (l *pendingList) add(p *pendingConn) {
	if p.older = l.newest; p.older != nil {
		p.older.newer = p
	} else {
		l.oldest = p
	}
	l.newest = p
	l.count++
}

// remove removes a connection. It does nothing for one that is not in the list.
func (l *pendingList) remove(p *pendingConn) {
	if p.older == nil && p.newer == nil && l.oldest != p {
		return
	}
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		l.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		l.newest = p.older
	}
	p.older, p.newer = nil, nil
	l.count--
}

// addrPort converts the address of a client. An IPv4 address that is mapped into IPv6 becomes IPv4.
func addrPort(address unix.Sockaddr) netip.AddrPort {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
