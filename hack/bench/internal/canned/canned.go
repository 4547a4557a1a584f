// Package canned implements the two protocols of the load tool for hack/bench/floor and its variants, with prebuilt
// answers. It checks nothing, limits nothing and queues nothing, so that the cost of such a server is that of moving
// bytes.
package canned

import (
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// The opcodes that are written here, RFC 6455 section 11.8.
const (
	OpText   = 0x1
	OpBinary = 0x2
	OpPing   = 0x9
)

// Wire is one connection of a server whose frames are F. Write sends a frame at once. The server ends a connection that
// cannot take a frame whole. Write must not call Close before it returns.
type Wire[F any] interface{ Write(frame F) }

// Function holds all clients of one server. Several goroutines may call its methods at the same time, but those about
// one client one after the other.
type Function[F any] struct {
	frame func(opcode byte, payload []byte) F
	// recovered is the answer to every client that subscribes with a position.
	recovered string
	// pings are the groups of plain clients and of Centrifuge clients that are pinged together. It is nil when the server
	// pings by itself.
	pings *[2][slots]group[F]

	mu sync.Mutex
	// channels are kept when their last subscriber leaves.
	channels map[channelKey]*group[F]
}

// slots is the number of steps that a ping interval is divided into.
const slots = 250

// channelKey names a channel of one protocol. Unlike in a gateway, clients of different protocols share no channel.
type channelKey struct {
	plain   bool
	channel string
}

// New returns a Function without clients. frame encodes a message for its server.
func New[F any](frame func(opcode byte, payload []byte) F) *Function[F] {
	return &Function[F]{frame: frame, recovered: recovered(), channels: map[channelKey]*group[F]{}}
}

// Ping starts to ping clients, each once in an interval, spread over it. The caller calls it before the first Open.
func (f *Function[F]) Ping(interval time.Duration) {
	f.pings = new([2][slots]group[F])
	plain, centrifuge := f.frame(OpPing, nil), f.frame(OpText, []byte("{}"))
	go func() {
		for i := 0; ; i = (i + 1) % slots {
			time.Sleep(interval / slots)
			f.pings[0][i].write(plain)
			f.pings[1][i].write(centrifuge)
		}
	}()
}

// Client is one connection. The server uses it until Close.
type Client[F any] struct {
	wire  Wire[F]
	plain bool
	// publish is the channel of a plain client.
	publish *group[F]
	seats   []*membership[F]
}

// Open makes a client for a handshake's target, like /ws?channel=a. It returns nil for an unknown path. It calls answer
// once, which answers the handshake. Nothing is written before that, and a plain client misses no message that is
// published after it has received the answer.
func (f *Function[F]) Open(wire Wire[F], target string, answer func()) *Client[F] {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	switch u.Path {
	case contract.PathPlain:
		return f.openPlain(wire, u.Query(), answer)
	case contract.PathCentrifuge:
		answer()
		return &Client[F]{wire: wire}
	}
	return nil
}

// openPlain subscribes a plain client to one channel.
func (f *Function[F]) openPlain(wire Wire[F], query url.Values, answer func()) *Client[F] {
	c := &Client[F]{wire: wire, plain: true, publish: f.channel(true, query.Get("channel"))}
	c.join(c.publish, answer)
	f.joinPings(c)
	return c
}

// Plain reports whether the client speaks the plain protocol.
func (c *Client[F]) Plain() bool { return c.plain }

// Message handles a message of a client.
func (f *Function[F]) Message(c *Client[F], opcode byte, payload []byte) {
	if c.plain {
		c.publish.write(f.frame(opcode, payload))
	} else {
		f.commands(c, payload)
	}
}

// Close removes a client. Nothing is written to its wire after Close has returned.
func (f *Function[F]) Close(c *Client[F]) {
	for _, s := range c.seats {
		s.leave()
	}
	c.seats = nil
}

func (f *Function[F]) joinPings(c *Client[F]) {
	if f.pings == nil {
		return
	}
	protocol := 1
	if c.plain {
		protocol = 0
	}
	c.join(&f.pings[protocol][rand.N(slots)], nil)
}

func (f *Function[F]) channel(plain bool, channel string) *group[F] {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := channelKey{plain, channel}
	t := f.channels[name]
	if t == nil {
		t = &group[F]{}
		f.channels[name] = t
	}
	return t
}
