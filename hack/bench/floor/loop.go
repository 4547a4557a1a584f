//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsfleet/wsfleet/hack/bench/internal/canned"
)

// loop drives the connections of one thread.
type loop struct {
	function        *canned.Function[[]byte]
	epoll, listener int
	// conns are the connections by their descriptor.
	conns  []*conn
	buffer []byte
}

// conn is a connection. An idle connection costs this struct and a descriptor.
type conn struct {
	fd int
	// client is nil until the handshake.
	client *canned.Client[[]byte]
	// pending is the beginning of a frame or a handshake whose rest has not arrived yet.
	pending []byte
}

const (
	eventsAtOnce = 256
	// acceptsAtOnce bounds the connections that a loop accepts in a row, so that the other loops accept some too.
	acceptsAtOnce = 16
	bufferBytes   = 64 << 10
)

// run drives connections until epoll fails. Go's own poller waits for the epoll instance: a goroutine
// that waits in a system call would cost a thread switch per event.
func run(listener int, f *canned.Function[[]byte]) error {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(epoll, true); err != nil {
		return err
	}
	l := &loop{function: f, epoll: epoll, listener: listener, buffer: make([]byte, bufferBytes)}
	if err := l.watch(listener, unix.EPOLLIN|unix.EPOLLEXCLUSIVE); err != nil {
		return err
	}
	raw, err := os.NewFile(uintptr(epoll), "epoll").SyscallConn()
	if err != nil {
		return err
	}
	events := make([]unix.EpollEvent, eventsAtOnce)
	var failed error
	err = raw.Read(func(uintptr) bool {
		for {
			n, err := unix.EpollWait(epoll, events, 0)
			if err != nil && !errors.Is(err, unix.EINTR) {
				failed = err
				return true
			}
			if n == 0 {
				return false
			}
			l.dispatch(events[:max(n, 0)])
		}
	})
	return errors.Join(err, failed)
}

func (l *loop) dispatch(events []unix.EpollEvent) {
	for _, e := range events {
		if int(e.Fd) == l.listener {
			l.accept()
		} else if c := l.conns[e.Fd]; c != nil {
			l.read(c)
		}
	}
}

func (l *loop) watch(fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (l *loop) accept() {
	for range acceptsAtOnce {
		fd, _, err := unix.Accept4(l.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if fd >= len(l.conns) {
			l.conns = append(l.conns, make([]*conn, fd+1-len(l.conns))...)
		}
		// An error shows when the connection is used.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		l.conns[fd] = &conn{fd: fd}
		_ = l.watch(fd, unix.EPOLLIN)
	}
}

func (l *loop) read(c *conn) {
	n, err := unix.Read(c.fd, l.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return
	case err != nil, n == 0:
		l.close(c)
		return
	}
	in := l.buffer[:n]
	if len(c.pending) > 0 {
		in = append(c.pending, in...)
	}
	used, alive := l.received(c, in)
	switch {
	case !alive:
		l.close(c)
	case used == len(in):
		c.pending = nil
	default:
		c.pending = bytes.Clone(in[used:])
	}
}

// received handles the complete frames in in, and returns how many bytes it has used.
func (l *loop) received(c *conn, in []byte) (used int, alive bool) {
	if c.client == nil {
		head, _, whole := bytes.Cut(in, []byte("\r\n\r\n"))
		if !whole {
			return 0, true
		}
		used = len(head) + 4
		target, key := parseHead(head)
		if c.client = l.function.Open(c, target, func() { c.Write(accepted(key)) }); c.client == nil {
			return used, false
		}
	}
	for {
		f, n := parseFrame(in[used:])
		if n == 0 {
			return used, true
		}
		used += n
		switch f.opcode {
		case canned.OpText, canned.OpBinary:
			l.function.Message(c.client, f.opcode, f.payload)
		case opPing:
			c.Write(canned.Frame(opPong, f.payload))
		case opPong:
		default:
			if f.opcode == opClose {
				c.Write(canned.Frame(opClose, f.payload))
			}
			return used, false
		}
	}
}

// Write implements canned.Wire. It shuts down a connection that cannot take a frame whole. The loop then reads the end
// and closes it.
func (c *conn) Write(frame []byte) {
	if n, err := unix.Write(c.fd, frame); err != nil || n < len(frame) {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
}

// close frees the descriptor when no goroutine writes to it any more.
func (l *loop) close(c *conn) {
	if c.client != nil {
		l.function.Close(c.client)
	}
	l.conns[c.fd] = nil
	_ = unix.Close(c.fd)
}
