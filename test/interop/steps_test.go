package interop

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// codeConfigured is a code of the range that applications may use. It passes everywhere.
const codeConfigured = "4000"

// The gateway sends 1008 when a token ends, and 1009 to a message that is too large.
const (
	codeExpired  = "1008"
	codeTooLarge = "1009"
)

// codes are the close codes besides those of drains. The server API sends those from 3000 on.
var codes = []string{codeExpired, codeTooLarge, "3000", "3500", "4001", "4300", "4400", "4500"}

// columns are what the second table names, in its order.
var columns = slices.Concat([]string{"3001"}, drainCodes[:1], drainCodes[2:], codes[:2],
	[]string{"3000", "3500", codeConfigured, "4001", "4300", "4400", "4500", "reset", "503"})

// large is a message almost as long as a gateway takes by default.
var large = strings.Repeat("0123456789abcdef", 60_000/16)

// tooLarge is longer than a gateway takes by default.
var tooLarge = strings.Repeat("x", 70_000)

// parts are the fragments of one message. Each is longer than the buffer of a stack that decides by it.
var parts = []string{strings.Repeat("one ", 1500), strings.Repeat("two ", 1500), strings.Repeat("three ", 1500)}

// result is what one stack's rows of the tables say.
type result struct {
	stack   *stack
	version string
	// exchanges says what the stack could exchange.
	exchanges string
	// The next are what its application sees. drained is by close code.
	refused, reset string
	drained        map[string]string
	// back says after what it comes back by itself: a close code, 503 or reset.
	back map[string]bool
}

// after returns after what the stack comes back, or after what it does not, in the order of the tests.
func (r *result) after(back bool) string {
	var out []string
	for _, what := range columns {
		if b, tried := r.back[what]; tried && b == back {
			out = append(out, what)
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ", ")
}

// harness is what all stacks share.
type harness struct {
	fleet    *fleet
	adapters map[string]*adapter
	// joined counts the stacks that have yet to connect to the gateways that will be drained.
	joined *sync.WaitGroup
	// drain starts the drains when all have. Each stack calls it.
	drain func() error
}

func newHarness(t *testing.T, run []*stack) *harness {
	t.Helper()
	site := serveSite(t)
	h := &harness{fleet: startFleet(t, site), adapters: map[string]*adapter{}, joined: new(sync.WaitGroup)}
	h.joined.Add(len(run))
	h.drain = sync.OnceValue(func() error {
		h.joined.Wait()
		return h.fleet.drain(context.Background())
	})
	for _, s := range run {
		program := strings.Join(s.adapter, " ")
		if h.adapters[program] == nil {
			h.adapters[program] = startAdapter(t, []string{"SITE=" + site, envGoAdapter + "=yes"}, s.adapter...)
		}
	}
	return h
}

func (h *harness) adapterOf(s *stack) *adapter { return h.adapters[strings.Join(s.adapter, " ")] }

// perform takes one stack through all steps. It calls joined once the stack is connected to the gateways that will be
// drained.
func (h *harness) perform(t *testing.T, s *stack, joined func()) result {
	a := h.adapterOf(s)
	r := result{stack: s, version: a.versions[s.name], back: map[string]bool{}, drained: map[string]string{}}
	assert.NotEmpty(t, r.version, "%s tells no version of %s", a.name, s.name)
	leaving, opened := map[string]*client{}, map[string]int{}
	for _, code := range s.drainCodes() {
		c := newClient(t, h.fleet, s, a, h.fleet.leaving[code].address)
		c.opened(t)
		leaving[code], opened[code] = c, c.feed.length()
	}
	joined()
	r.exchanges = h.exchange(t, s)
	h.sentAway(t, s, &r)
	r.reset = h.cut(t, s, &r)
	r.refused = h.refuse(t, s, &r)
	require.NoError(t, h.drain())
	for _, code := range s.drainCodes() {
		c := leaving[code]
		c.end(t, &r, s.sent(code), opened[code])
		r.drained[code] = c.sees(opened[code])
		c.neverRefused(t, opened[code])
		c.closed(t)
	}
	return r
}

// neverRefused asserts that no gateway has refused the client.
func (c *client) neverRefused(t *testing.T, from int) {
	t.Helper()
	events, _ := c.feed.since(from)
	for _, e := range events {
		assert.False(t, e.Kind == kindStatus && e.Code != 101, "a client of a planned drain was refused: %d", e.Code)
	}
}

// exchange lets the stack send and receive, and returns what it could.
func (h *harness) exchange(t *testing.T, s *stack) string {
	c := newClient(t, h.fleet, s, h.adapterOf(s), h.fleet.public)
	c.opened(t)
	defer c.closed(t)
	var can []string
	if !s.muted {
		c.swap(t, "to the peer", "to the stack")
		c.swap(t, large, large)
		can = append(can, "messages, 60 KB")
	}
	if s.fragments {
		from := c.peer.feed.length()
		c.do(t, command{Do: "fragments", Parts: parts})
		c.peerGot(t, from, strings.Join(parts, ""))
		c.await(t, 0, "fragment", ofKind(kindFragment))
		can = append(can, "fragments")
	}
	c.await(t, 0, "pong", ofKind(kindPong))
	can = append(can, "ping")
	return strings.Join(can, ", ")
}

// swap sends a message in each direction, and blocks until both have arrived.
func (c *client) swap(t *testing.T, out, in string) {
	t.Helper()
	from := c.peer.feed.length()
	c.do(t, command{Do: "send", Text: out})
	c.peerGot(t, from, c.stack.wire(out))
	from = c.feed.length()
	require.NoError(t, c.peer.send(t.Context(), c.stack.wire(in)))
	c.await(t, from, "message", func(e event) bool {
		return e.Kind == kindMessage && (e.Text == in || e.Size == len(in))
	})
}

// peerGot blocks until the peer has received the text.
func (c *client) peerGot(t *testing.T, from int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	_, _, err := c.peer.feed.await(ctx, from, func(e event) bool { return e.Text == text })
	require.NoError(t, err, "%s: a message of %d bytes does not arrive", c.stack.name, len(text))
}

// sentAway lets a client meet each code, all of them at the same time.
func (h *harness) sentAway(t *testing.T, s *stack, r *result) {
	tried := s.codes()
	clients := make([]*client, len(tried))
	from := make([]int, len(tried))
	for i, code := range tried {
		c := newClient(t, h.fleet, s, h.adapterOf(s), h.fleet.public)
		clients[i] = c
		if code == codeExpired {
			c.tap.token = shortToken(t)
		}
		c.opened(t)
		from[i] = c.feed.length()
		switch code {
		case codeExpired:
		case codeTooLarge:
			c.do(t, command{Do: "send", Text: tooLarge})
		default:
			require.NoError(t, h.fleet.disconnect(t.Context(), c.channel, code))
		}
	}
	for i, c := range clients {
		c.end(t, r, tried[i], from[i])
		if tried[i] == codeConfigured {
			r.drained[codeConfigured] = c.sees(from[i])
		}
		c.closed(t)
	}
}

// drainCodes returns the close codes of the drains that the suite lets a stack meet. The Centrifuge protocol has one.
func (s *stack) drainCodes() []string {
	switch {
	case s.path == pathCentrifuge:
		return drainCodes[:1]
	case s.layer():
		return drainCodes
	}
	return drainCodes[:2]
}

// codes returns the other close codes that the suite lets a stack meet.
func (s *stack) codes() []string {
	switch {
	case !s.layer():
		return nil
	case s.path == pathCentrifuge:
		// Its codes for ends of tokens and large messages are its own; no drain sends it the configured one.
		return append(slices.Clone(codes[2:]), codeConfigured)
	case s.muted:
		return slices.DeleteFunc(slices.Clone(codes), func(code string) bool { return code == codeTooLarge })
	}
	return codes
}

// shortToken returns a token that ends while the test runs, and not before a client on a busy machine is connected.
func shortToken(t *testing.T) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "interop", "exp": time.Now().Add(8 * time.Second).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtKey))
	require.NoError(t, err)
	return token
}

// cut resets the client's connection, and returns what its application sees.
func (h *harness) cut(t *testing.T, s *stack, r *result) string {
	c := newClient(t, h.fleet, s, h.adapterOf(s), h.fleet.public)
	c.opened(t)
	defer c.closed(t)
	from := c.quiet(t)
	c.tap.reset()
	c.end(t, r, "reset", from)
	return c.sees(from)
}

// quiet blocks until the client has answered a ping, and returns the index behind that. A stack that has said all that
// it says after its connect meets a reset while it reads.
func (c *client) quiet(t *testing.T) int {
	t.Helper()
	return c.await(t, 0, "pong", ofKind(kindPong))
}

// refuse lets a gateway that is full answer the client once, and returns what its application sees. A stack that comes
// back after a reset meets the gateway when it does so; any other when it connects.
func (h *harness) refuse(t *testing.T, s *stack, r *result) string {
	if !s.layer() {
		c := newClient(t, h.fleet, s, h.adapterOf(s), h.fleet.full)
		c.open(t)
		defer c.closed(t)
		c.settle(t, c.await(t, 0, "refusal", status(503)))
		return c.sees(0)
	}
	c := newClient(t, h.fleet, s, h.adapterOf(s), h.fleet.public)
	c.opened(t)
	defer c.closed(t)
	from := c.quiet(t)
	c.tap.lead(h.fleet.full)
	c.tap.reset()
	attempt := c.await(t, from, "attempt after a reset", ofKind(kindAttempt))
	refusal, refused := c.awaitEvent(t, attempt, "refusal", status(503))
	c.tap.lead(h.fleet.public)
	// A stack that comes back at once meets the refusal while what it said of the reset is still on its way.
	seen := max(attempt, c.settle(t, from))
	r.back["503"] = c.comesBack(t, refused, refusal.at)
	return c.sees(seen)
}

// end blocks until the client is back, or will not come any more, and notes which it was.
func (c *client) end(t *testing.T, r *result, what string, from int) {
	t.Helper()
	gone, _ := c.awaitEvent(t, from, "end of the connection", ofKind(kindGone))
	if c.stack.layer() {
		r.back[what] = c.comesBack(t, from, gone.at)
	} else {
		c.settle(t, from)
	}
}

func status(code int) func(event) bool {
	return func(e event) bool { return e.Kind == kindStatus && e.Code == code }
}
