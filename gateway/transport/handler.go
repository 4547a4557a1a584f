package transport

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// Conn is one client's connection. All methods may be called at any time from anywhere, and none of
// them blocks but Room, which is for the handler's own goroutine.
type Conn interface {
	// ID names the connection in logs and reports. Knowing one is no help in guessing others. UUID is the
	// same, unwritten.
	ID() string
	UUID() uuid.UUID
	RemoteIP() netip.Addr
	OpenedAt() time.Time
	// QueuedBytes is what still waits to be written.
	QueuedBytes() int
	// Send queues a message. It reports false when the connection is closing; a client that is too
	// slow for its queue is then being disconnected.
	Send(f Frame) bool
	// Queue is Send for a handler that answers what came, and calls Flush when it has no more to say: the
	// answers go out from its own goroutine, and nobody needs to be woken for them.
	// Answers do not count against what may wait for a slow client, up to as much again; f is for this
	// connection only.
	QueueReply(f Frame) bool
	Flush()
	// Room waits until less than half of what may wait for the peer does, for a handler that is about to
	// answer much. It reports false when the connection ends, also because the peer does not read.
	WaitWritable(ctx context.Context) bool
	// Close tells the peer why after everything queued before, waits a moment for its answer, and
	// ends. Only the first call counts.
	Close(c Close)
	// CloseAfter closes when a time has passed, unless it is called again before. 0 takes it back.
	CloseAfter(d time.Duration, c Close)
	// StartHeartbeat begins to ping the peer. Only the first call counts.
	StartHeartbeat(h *Heartbeat)
	// Spend counts one more message of the peer's, for who finds several in what OnMessage got. It
	// reports false when that is one too many: then the handler calls Exceed, which closes.
	AllowMessage() bool
	CloseRateLimited()
	// Pong says that the peer answered a ping; false means that none was outstanding.
	Pong() bool
}

// Handler is what a protocol makes of one connection. Its methods are called one after another,
// never at once. OnMessage may block: that slows down its own client only.
type Handler interface {
	// OnOpen is called just before the handshake is answered: whoever sees the answer can rely on what
	// it set up. What it sends goes out first.
	OnOpen(c Conn)
	// OnMessage gets a whole message; data belongs to the handler. It is not called after a Close. The
	// context ends when the connection is given up: whoever waits on its behalf can stop.
	OnMessage(ctx context.Context, kind Kind, data []byte)
	// OnClose is called exactly once, also when the answer to the handshake found nobody.
	OnClose(c Close)
}

// Endpoint is a path where clients of one protocol connect.
type Endpoint struct {
	// Protocol names it in metrics and logs.
	Protocol     string
	Subprotocols []string
	Codes        Codes
	// Pong is the message that answers a ping, in a protocol that has its own.
	Pong string
	// Accept makes the handler of a connection before the handshake is answered. A *Refusal as error
	// becomes the answer.
	Accept func(r *http.Request) (Handler, error)
}

// Refusal is why a handshake is answered with something else than a connection.
type Refusal struct {
	Status int
	// Reason is its short name in metrics.
	Reason string
	// Message tells the client's developer what to do.
	Message    string
	RetryAfter time.Duration
	// Cookie is set in the answer, to steer the next attempt elsewhere.
	Cookie *http.Cookie
}

func (r *Refusal) Error() string { return r.Message }

// Observer counts what happens. Implementations must not block.
type Observer interface {
	ConnectionAccepted(protocol string)
	ConnectionRefused(reason string)
	ConnectionClosed(protocol string, code int)
	// ClientDropped is a connection that the gateway gave up: slow, heartbeat, rate.
	ClientDropped(reason string)
	MessageReceived(protocol string, bytes int)
	MessagesSent(protocol string, messages, bytes int)
	// MessagesDropped are those that slow clients did not get, by what their channel says.
	MessagesDropped(policy DropPolicy, messages int)
}
