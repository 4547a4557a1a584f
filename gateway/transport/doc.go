// Package transport accepts WebSocket connections (RFC 6455) and moves messages over them: opening
// handshake, admission limits, bounded outbound queues, compression (RFC 7692), heartbeats and the
// closing handshake. Package gateway creates one Server; the packages under gateway/protocol implement
// Handler. The package knows bytes and connections. It knows nothing of channels.
//
// # Data flow
//
// A socket driver (see driver) owns each socket. It calls the connection: received with the bytes that
// it read, nextBatch and batchWritten around each write, readEnded and failed at the end. The
// connection only commands its driver, through the few methods of the driver interface, and a driver
// never calls the connection back before such a method returns.
//
// received parses the bytes, queues complete messages, and a worker goroutine passes them to the
// Handler one after the other. While the Handler is behind, the connection calls pauseReading. This is
// the only signal not to read on: a Handler that blocks, also in WaitWritable, slows down its own client
// and nothing else.
//
// Each message is encoded once as a Frame, which all connections share. Send appends it to the
// connection's outbound queue and schedules a write. The driver then writes all queued frames together.
//
// # Lock order
//
// A goroutine that holds a lock takes only locks that come later in this list:
//
//  1. eventLoop.pollMu, held while the loop reports events
//  2. handshakeListener.fdMu
//  3. eventLoops.mu, held while a loop is picked or started
//  4. Server.mu
//  5. conn.mu
//  6. the locks of crypto/tls, below conn.mu only to send close_notify
//  7. epollDriver.mu and pendingConn.mu, held over each system call on their file descriptor
//  8. the leaves: eventLoop.scheduleMu, eventLoop.handlersMu, handshakeListener.mu, tlsListener.mu, timingWheel.mu
//     and admission.mu; none of them is held while another lock is taken
//
// A caller may hold locks of its own when it calls a Conn or a Server; they come before this list. Handlers
// are called without any of these locks, so they may take their own. The Observer and the Logger may be
// called with conn.mu held, so they must not take a lock that is held during such a call.
package transport
