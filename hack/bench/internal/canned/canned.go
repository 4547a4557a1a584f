// Package canned is what the servers do that gateways are measured against: the two protocols of the
// load tool, with answers made up in advance. It checks nothing, limits nothing and queues nothing, so
// that what a server costs around it is the cost of moving bytes.
package canned

import (
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Opcodes of RFC 6455 that are written here.
const (
	OpText   = 0x1
	OpBinary = 0x2
	OpPing   = 0x9
)

// Wire is one connection of a server whose frames are F. Write sends a frame at once; a connection that
// cannot take it whole is the server's to end. It must not call Close before it returns.
type Wire[F any] interface{ Write(frame F) }

// Function is all clients of one server. Its methods may be called from anywhere at any time, those of
// one client one after another.
type Function[F any] struct {
	frame func(opcode byte, payload []byte) F
	// recovered is the answer to whoever subscribes with a position: the same for all.
	recovered string
	// pings are who is pinged together, plain clients and Centrifuge clients; nil where the server pings by itself.
	pings *[2][slots]group[F]

	mu sync.Mutex
	// topics stay when their last subscriber leaves.
	topics map[topicName]*group[F]
}

// slots are how many steps a ping interval is divided into.
const slots = 250

// topicName is a channel of one protocol: unlike those of a gateway, the two do not hear each other.
type topicName struct {
	plain   bool
	channel string
}

// New returns a function without clients; frame encodes a message for its server.
func New[F any](frame func(opcode byte, payload []byte) F) *Function[F] {
	return &Function[F]{frame: frame, recovered: recovered(), topics: map[topicName]*group[F]{}}
}

// Ping begins to ping clients, each once in an interval, spread over it. Call it before the first Open.
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

// Client is one connection. It belongs to its server until Close.
type Client[F any] struct {
	wire  Wire[F]
	plain bool
	// publish is a plain client's channel.
	publish *group[F]
	seats   []*seat[F]
}

// Open makes a client of a handshake's target, like /ws?channel=a; nil for a path that nothing serves.
// It calls answer once, to answer the handshake: nothing is written before it, and a plain client that
// has seen it misses nothing.
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

// openPlain serves one channel, as the load tool wants it.
func (f *Function[F]) openPlain(wire Wire[F], query url.Values, answer func()) *Client[F] {
	c := &Client[F]{wire: wire, plain: true, publish: f.topic(true, query.Get("channel"))}
	c.sit(c.publish, answer)
	f.heartbeat(c)
	return c
}

// Plain says which protocol a client speaks.
func (c *Client[F]) Plain() bool { return c.plain }

// Message is what a client sent.
func (f *Function[F]) Message(c *Client[F], opcode byte, payload []byte) {
	if c.plain {
		c.publish.write(f.frame(opcode, payload))
	} else {
		f.commands(c, payload)
	}
}

// Close ends a client. When it returns nothing is written to its wire any more.
func (f *Function[F]) Close(c *Client[F]) {
	for _, s := range c.seats {
		s.leave()
	}
	c.seats = nil
}

func (f *Function[F]) heartbeat(c *Client[F]) {
	if f.pings == nil {
		return
	}
	protocol := 1
	if c.plain {
		protocol = 0
	}
	c.sit(&f.pings[protocol][rand.N(slots)], nil)
}

func (f *Function[F]) topic(plain bool, channel string) *group[F] {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := topicName{plain, channel}
	t := f.topics[name]
	if t == nil {
		t = &group[F]{}
		f.topics[name] = t
	}
	return t
}
