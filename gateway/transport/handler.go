package transport

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// Conn is one client's connection, as its Handler and the rest of the gateway see it. All methods may be
// called at any time and from any goroutine. None of them blocks, except WaitWritable.
type Conn interface {
	// ID returns the connection's name in logs and reports. IDs cannot be guessed.
	ID() string
	// UUID returns the ID without formatting it.
	UUID() uuid.UUID
	// RemoteIP returns the client's address, that behind trusted proxies included.
	RemoteIP() netip.Addr
	// OpenedAt returns when the handshake was answered, or began while it is not.
	OpenedAt() time.Time
	// QueuedBytes returns the number of bytes that wait to be written.
	QueuedBytes() int

	// Send queues a message and schedules its write. It reports false when the connection is closing. A
	// client whose queue has no room is disconnected, unless drop policies let Send drop a message.
	Send(f Frame) bool
	// QueueReply queues a message that the client asked for, without scheduling its write: the handler
	// calls Flush after its last reply, which writes them from the handler's goroutine. Replies have a
	// limit of MaxQueuedBytes of their own. f must not be sent to another connection. QueueReply reports
	// false when the connection is closing.
	QueueReply(f Frame) bool
	// Flush schedules the write of what QueueReply queued.
	Flush()
	// SendReply queues a message as QueueReply does, and schedules its write as Send does.
	SendReply(f Frame) bool
	// WaitWritable blocks until at most half of MaxQueuedBytes waits to be written. OnMessage and the functions of Go call
	// it before a large reply. It reports false when the connection closes or ctx ends. A client that does not read for
	// WriteStallTimeout is dropped as slow.
	WaitWritable(ctx context.Context) bool

	// Close sends a close frame after all queued messages, waits up to CloseTimeout for the client's
	// answer, and ends the connection. It returns at once. Only the first call counts.
	Close(c Close)
	// CloseAfter closes the connection when d has passed. Another call replaces the time, and 0 removes
	// it.
	CloseAfter(d time.Duration, c Close)

	// StartHeartbeat begins to ping the client. Only the first call counts.
	StartHeartbeat(h *Heartbeat)
	// Pong notes that the client answered a ping. It reports false when no answer was expected.
	Pong() bool

	// Go runs f in another goroutine, after the functions that were given before with the same key have returned. The
	// empty key means no order. Go blocks while the connection or the server runs as many functions as it may. Only the
	// Handler's OnMessage may call it, with its own context. Go reports false when that context ends first, and f is not
	// run then. f gets the context of the connection, which is canceled when the connection ends or the client closes it.
	Go(ctx context.Context, key string, f func(context.Context)) bool
	// Running reports whether a function that was given to Go with the key has not returned yet. It reports false for
	// the empty key.
	Running(key string) bool

	// AllowMessage counts one more message against MessageRate, for a handler that finds several in one message, or whose
	// Endpoint has CountsMessages. When it reports false, the handler calls CloseRateLimited and handles no more.
	AllowMessage() bool
	// CloseRateLimited closes the connection because the client sent too many messages.
	CloseRateLimited()
}

// Handler is a protocol's side of one connection. Its methods are called one after the other, never
// concurrently, and without a lock of this package.
type Handler interface {
	// OnOpen is called before the handshake is answered, so that a client that gets the answer can rely on
	// what OnOpen set up. The messages that it sends go out first.
	OnOpen(c Conn)
	// OnMessage handles a complete message. It owns data. It may block, which delays the messages of this client only. It
	// is not called after Close. ctx is canceled when the connection ends or the client closes it: then no reply has a
	// reader any more.
	OnMessage(ctx context.Context, kind Kind, data []byte)
	// OnClose is called exactly once, when the connection has ended. It is also called when the handshake
	// failed after Accept.
	OnClose(c Close)
}

// Resumer is implemented by handlers of protocols whose clients can get what they missed.
type Resumer interface {
	// Resumes reports whether the client misses nothing while it is away for a moment. It does not block.
	Resumes() bool
}

// Endpoint is a path where the clients of one protocol connect.
type Endpoint struct {
	// Protocol is the protocol's name in metrics and logs.
	Protocol string
	// Subprotocols are the supported values of Sec-WebSocket-Protocol.
	Subprotocols []string
	// Codes are the protocol's closes.
	Codes Codes
	// Pong is the text message that answers a ping, in a protocol with pings of its own. It is empty in
	// others.
	Pong string
	// MaxMessageBytes is the maximum size of a message, decompressed; 0 means Options.MaxMessageBytes.
	MaxMessageBytes int
	// CountsMessages says that the Handler counts the messages that reach it, by AllowMessage, because what they hold
	// decides what counts.
	CountsMessages bool
	// Accept returns the handler of a new connection before its handshake is answered. It may block. When
	// it returns a *Refusal as error, that is the answer; the answer to another error is 500.
	Accept func(r *http.Request) (Handler, error)
}

// Refusal says why a handshake is refused, and how.
type Refusal struct {
	// Status is the HTTP status.
	Status int
	// Reason is a short name for metrics.
	Reason string
	// Message is the body. It tells the client's developer what to do.
	Message string
	// RetryAfter becomes the header of that name, rounded up to seconds, unless it is 0.
	RetryAfter time.Duration
	// Elsewhere reports that another gateway may accept the client: the answer expires the affinity cookie.
	Elsewhere bool
	// AnotherServes reports that another gateway accepts the client if a proxy asks it. Proxies get such a refusal at
	// once.
	AnotherServes bool
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// Observer counts what happens. Its methods must not block and must not call a Conn: some are called
// with the connection's lock held.
type Observer interface {
	// ConnectionAccepted counts an answered handshake.
	ConnectionAccepted(protocol string)
	// ConnectionRefused counts a refused handshake by Refusal.Reason, or a pending connection that the
	// gateway closed.
	ConnectionRefused(reason string)
	// ConnectionClosed counts the end of an accepted connection.
	ConnectionClosed(protocol string, code int)
	// ClientDropped counts a connection that the gateway gave up. reason is slow, heartbeat, rate or memory.
	ClientDropped(reason string)
	// MessageReceived counts a message with its length as received, without frame headers.
	MessageReceived(protocol string, bytes int)
	// MessagesSent counts frames of any kind, with their length in bytes.
	MessagesSent(protocol string, messages, bytes int)
	// MessagesDropped counts messages that a slow client did not get, by the policy that allowed this.
	MessagesDropped(policy DropPolicy, messages int)
}
