package transport

import (
	"bytes"
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

// guest is a connection whose first request has not come whole.
type guest struct {
	front   *front
	loop    *loop
	address netip.AddrPort
	since   time.Duration
	timer   timer
	// older and newer are its neighbours at the door. The front's lock guards them.
	older, newer *guest

	// mu is held over every system call on fd.
	mu   sync.Mutex
	fd   int32
	head []byte
}

// longestHead is how much of a request is read here. What is longer is for the HTTP server to refuse.
const longestHead = 16 << 10

// watch lets the loop tell of it, unless it was sent away meanwhile: its number may be another's then.
func (g *guest) watch() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fd == closedFD {
		return nil
	}
	return g.loop.add(g.fd, g, unix.EPOLLIN|unix.EPOLLONESHOT)
}

// readable implements source.
func (g *guest) readable(buffer []byte) {
	g.mu.Lock()
	if g.fd == closedFD {
		g.mu.Unlock()
		return
	}
	n, err := unix.Read(int(g.fd), buffer)
	if err != nil && again(err) {
		n = 0
	} else if n <= 0 {
		g.mu.Unlock()
		g.sendAway()
		return
	}
	g.head = append(g.head, buffer[:n]...)
	if !wholeHead(g.head) && mayBeRequest(g.head) && len(g.head) < longestHead {
		// The rest of the head is to come.
		err := g.loop.modify(g.fd, unix.EPOLLIN|unix.EPOLLONESHOT)
		g.mu.Unlock()
		if err != nil {
			g.sendAway()
		}
		return
	}
	fd := g.fd
	g.fd = closedFD
	g.mu.Unlock()
	g.leave()
	// Whoever accepts a client may wait for the broker, and the loop must not.
	g.front.server.crew.take(arrived{g, fd})
}

func (g *guest) writable() {}

// wake implements waker: the handshake has taken too long.
func (g *guest) wake(time.Duration) {
	if g.sendAway() {
		g.front.server.options.Observer.ConnectionRefused(refusedTimeout)
	}
}

// leave takes it off the front's list and off the wheel.
func (g *guest) leave() {
	g.front.server.wheel.clear(&g.timer)
	g.front.mu.Lock()
	defer g.front.mu.Unlock()
	g.front.guests.remove(g)
}

// sendAway closes the connection, unless it has gone already, and reports whether it was there.
func (g *guest) sendAway() bool {
	g.mu.Lock()
	there := g.fd != closedFD
	if there {
		g.loop.forget(g.fd)
		_ = unix.Close(int(g.fd))
		g.fd = closedFD
	}
	g.mu.Unlock()
	g.leave()
	return there
}

// arrived is a guest whose request is here, and its socket.
type arrived struct {
	*guest
	fd int32
}

// work implements job.
func (a arrived) work() { a.serve(a.fd) }

// serve answers a handshake, and hands on what is none.
func (g *guest) serve(fd int32) {
	if r, early, ok := handshakeIn(g.head); ok {
		if e := g.front.routes.find(r); e != nil {
			r.RemoteAddr = g.address.String()
			g.receive(&frontDoor{guest: g, fd: fd, early: early}, r, e)
			return
		}
	}
	g.loop.forget(fd)
	g.handOver(fd)
}

// receive takes a client through its handshake. A bug met by one must not end the others.
func (g *guest) receive(d *frontDoor, r *http.Request, e *Endpoint) {
	defer func() {
		if p := recover(); p != nil {
			g.front.server.options.Logger.Error("handshake failed", slog.String("protocol", e.Protocol), recovery.Attr(p))
			if !d.opened {
				d.close()
			}
		}
	}()
	g.front.server.serve(d, r, e)
}

// handOver gives the connection to whoever accepts from the front.
func (g *guest) handOver(fd int32) {
	file := os.NewFile(uintptr(fd), "")
	nc, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		return
	}
	select {
	case g.front.others <- &replayed{Conn: nc, before: g.head}:
	case <-g.front.done:
		_ = nc.Close()
	}
}

// frontDoor is a client of the front.
type frontDoor struct {
	*guest
	fd    int32
	early []byte
	// opened: the socket is a wire's.
	opened bool
}

// open implements door.
func (d *frontDoor) open(c *conn, head []byte) (wire, []byte, error) {
	// A new socket has room for so little.
	n, err := unix.Write(int(d.fd), head)
	if err == nil && n < len(head) {
		err = io.ErrShortWrite
	}
	if err != nil {
		d.close()
		return nil, nil, fmt.Errorf("answer the handshake: %w", err)
	}
	d.opened = true
	return &pollWire{conn: c, loop: d.loop, fd: d.fd}, d.early, nil
}

// refuse implements door.
func (d *frontDoor) refuse(status int, header http.Header, message string) {
	defer d.close()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(message)+1))
	b := bytes.NewBufferString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	// A buffer takes everything, and nobody waits for a client that does not take its refusal.
	_ = header.Write(b)
	_, _ = b.WriteString("\r\n" + message + "\n")
	_, _ = unix.Write(int(d.fd), b.Bytes())
}

func (d *frontDoor) close() {
	d.loop.forget(d.fd)
	_ = unix.Close(int(d.fd))
}

// guests are those at the door, in the order in which they came.
type guests struct {
	oldest, newest *guest
	count          int
}

func (l *guests) add(g *guest) {
	if g.older = l.newest; g.older != nil {
		g.older.newer = g
	} else {
		l.oldest = g
	}
	l.newest = g
	l.count++
}

// remove takes one off the list; the second time it does nothing.
func (l *guests) remove(g *guest) {
	if g.older == nil && g.newer == nil && l.oldest != g {
		return
	}
	if g.older != nil {
		g.older.newer = g.newer
	} else {
		l.oldest = g.newer
	}
	if g.newer != nil {
		g.newer.older = g.older
	} else {
		l.newest = g.older
	}
	g.older, g.newer = nil, nil
	l.count--
}

// addrPort is a peer's address as net/http would tell it.
func addrPort(address unix.Sockaddr) netip.AddrPort {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
