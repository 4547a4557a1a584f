package interop

import (
	"context"
	"encoding/json"
	"os"
	"time"
)

const pathCentrifuge = "/connection/websocket"

// The programs that run the stacks.
var (
	node   = []string{"node", "adapters/node.mjs"}
	golang = []string{os.Args[0], "-test.run=none"}
)

// python returns the program for one stack: each has an event loop of its own. It is that of Debian, for which its
// packages are.
func python(stack string) []string { return []string{"/usr/bin/python3", "adapters/python.py", stack} }

// stack is one client library, or one layer that reconnects, and what is known of it beforehand.
type stack struct {
	name    string
	adapter []string
	// short stacks run in CI; all do with INTEROP=all.
	short bool
	// path is the one that the stack connects to; that of the plain protocol when it is empty.
	path string
	// rewrite gives the request the plain protocol's path, for a stack with one of its own.
	rewrite bool
	// subprotocol is what the stack insists on.
	subprotocol string
	// greet says what the server of the stack's own protocol says to a new client; nil when that is nothing.
	greet func(context.Context, *peer) error
	// muted stacks exchange nothing with the peer, because their protocol is not the plain one.
	muted bool
	// fragments is set when the stack can send a message in fragments.
	fragments bool
	// within is the longest time after which the stack comes back by itself; 0 when it leaves that to its application.
	within time.Duration
	// how says how the stack is used, where it must be told to reconnect.
	how string
}

// layer reports whether the stack reconnects by itself.
func (s *stack) layer() bool { return s.within > 0 }

// wire returns a text as the stack sends it.
func (s *stack) wire(text string) string {
	if s.path != pathCentrifuge {
		return text
	}
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// drainCode is the close code of a drain.
func (s *stack) drainCode() string {
	if s.path == pathCentrifuge {
		return "3001"
	}
	return "1012"
}

var stacks = []stack{
	{name: "npm ws", adapter: node, short: true, fragments: true},
	{name: "faye-websocket", adapter: node, short: true},
	{name: "npm websocket", adapter: node, short: true, fragments: true},
	{name: "undici", adapter: node, short: true},
	{name: "Chromium", adapter: node},
	{name: "python websockets", adapter: python("python websockets"), short: true, fragments: true},
	{name: "aiohttp", adapter: python("aiohttp"), short: true},
	{name: "tornado", adapter: python("tornado")},
	{name: "autobahn", adapter: python("autobahn"), fragments: true},
	{name: "websocket-client", adapter: python("websocket-client"), fragments: true},
	{name: "libsoup", adapter: python("libsoup")},
	{name: "Qt", adapter: python("Qt")},
	{name: "Go gorilla", adapter: golang, short: true, fragments: true},
	{
		name:    "python websockets, async for",
		adapter: python("python websockets, async for"),
		within:  5 * time.Second,
	},
	{name: "centrifuge-js", adapter: node, short: true, path: pathCentrifuge, within: 3 * time.Second},
}

// title is the stack's name in the tables.
func (s *stack) title() string {
	if s.how == "" {
		return s.name
	}
	return s.name + " (" + s.how + ")"
}

// pinned reports whether a lock file fixes the stack's version.
func (s *stack) pinned() bool { return s.adapter[0] != "/usr/bin/python3" && s.name != "Chromium" }
