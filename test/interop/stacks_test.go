package interop

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/coder/websocket"
)

const pathCentrifuge = "/connection/websocket"

// The programs that run the stacks.
var (
	node   = []string{"node", "adapters/node.mjs"}
	window = []string{"node", "adapters/node.mjs", "window"}
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

// sent returns the close code that a drain sends to the stack where plain clients get the given one.
func (s *stack) sent(code string) string {
	if s.path == pathCentrifuge {
		return "3001"
	}
	return code
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
	{name: "Mojolicious", adapter: []string{"perl", "adapters/mojolicious.pl"}, fragments: true},
	{name: "ruby faye", adapter: []string{"/usr/bin/ruby", "adapters/faye.rb"}},
	{name: "Go gorilla", adapter: golang, short: true, fragments: true},
	{name: "Go coder", adapter: golang, short: true, fragments: true},
	{name: "Go gobwas", adapter: golang, short: true, fragments: true},
	{name: "Go x/net", adapter: golang},

	{
		name:    "python websockets, async for",
		adapter: python("python websockets, async for"),
		within:  5 * time.Second,
	},
	{name: "reconnecting-websocket", adapter: node, short: true, within: 5 * time.Second},
	{name: "partysocket", adapter: node, within: 5 * time.Second},
	{name: "sockette", adapter: node, short: true, within: time.Second},
	{name: "robust-websocket", adapter: window, within: 3 * time.Second},
	{name: "websocket-ts", how: "ConstantBackoff(1000)", adapter: node, within: time.Second},
	{name: "rxjs webSocket", how: "retry({delay: 1000})", adapter: node, short: true, within: time.Second},
	{name: "react-use-websocket", how: "shouldReconnect", adapter: window, within: 5 * time.Second},
	{name: "trpc wsLink", adapter: node, muted: true, within: 2 * time.Second},
	{
		name:        "graphql-ws",
		adapter:     node,
		rewrite:     true,
		subprotocol: "graphql-transport-ws",
		greet:       say(`{"type":"connection_ack"}`),
		muted:       true,
		within:      4 * time.Second,
	},
	{
		name:        "stompjs",
		adapter:     node,
		rewrite:     true,
		subprotocol: "v12.stomp",
		greet:       say("CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\x00"),
		muted:       true,
		within:      5 * time.Second,
	},
	{name: "phoenix", adapter: node, short: true, rewrite: true, muted: true, within: time.Second},
	{name: "supabase realtime", adapter: node, rewrite: true, muted: true, within: time.Second},
	{
		name:    "pusher-js",
		adapter: node,
		rewrite: true,
		greet: say(`{"event":"pusher:connection_established","data":` +
			`"{\"socket_id\":\"1.1\",\"activity_timeout\":120}"}`),
		muted:  true,
		within: 20 * time.Second,
	},
	{
		name:    "signalr",
		how:     "withAutomaticReconnect",
		adapter: node,
		rewrite: true,
		greet:   say("{}\x1e"),
		muted:   true,
		within:  2 * time.Second,
	},
	{
		name:    "socket.io-client",
		adapter: node,
		short:   true,
		rewrite: true,
		greet: say(`0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`,
			`40{"sid":"b"}`),
		muted:  true,
		within: 3 * time.Second,
	},
	{
		name:        "mqtt.js",
		adapter:     node,
		rewrite:     true,
		subprotocol: "mqtt",
		greet:       sayBytes(0x20, 2, 0, 0), // CONNACK
		muted:       true,
		within:      time.Second,
	},
	{name: "y-websocket", adapter: node, rewrite: true, muted: true, within: time.Second},
	{
		name:        "actioncable",
		adapter:     window,
		rewrite:     true,
		subprotocol: "actioncable-v1-json",
		greet: say(`{"type":"welcome"}`,
			`{"type":"confirm_subscription","identifier":"{\"channel\":\"Room\"}"}`),
		muted:  true,
		within: 30 * time.Second,
	},
	{name: "centrifuge-js", adapter: node, short: true, path: pathCentrifuge, within: 3 * time.Second},
	{name: "centrifuge-go", adapter: golang, short: true, path: pathCentrifuge, within: 3 * time.Second},
}

// say returns a greeting of text frames.
func say(frames ...string) func(context.Context, *peer) error {
	return func(ctx context.Context, p *peer) error {
		for _, frame := range frames {
			if err := p.send(ctx, frame); err != nil {
				return err
			}
		}
		return nil
	}
}

// sayBytes returns a greeting of one binary frame.
func sayBytes(frame ...byte) func(context.Context, *peer) error {
	return func(ctx context.Context, p *peer) error { return p.conn.Write(ctx, websocket.MessageBinary, frame) }
}

// title is the stack's name in the tables.
func (s *stack) title() string {
	if s.how == "" {
		return s.name
	}
	return s.name + " (" + s.how + ")"
}

// pinned reports whether a lock file fixes the stack's version.
func (s *stack) pinned() bool {
	return (s.adapter[0] == node[0] || s.adapter[0] == golang[0]) && s.name != "Chromium"
}
