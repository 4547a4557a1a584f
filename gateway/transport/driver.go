package transport

// driver reads from and writes to one socket for one connection. A connection may call the methods at
// any time and from any goroutine, also with its lock held: they do not block, and they do not call the
// connection before they return. flush is the exception.
//
// In return the driver calls these methods of its connection, without holding its own lock: received and
// readEnded from one goroutine at a time, nextBatch and batchWritten from the goroutine that holds the
// write turn, markBlocked and failed from any goroutine.
type driver interface {
	// start begins to read. early is what the client sent behind its handshake; it is received first.
	start(early []byte)
	// schedule starts a write turn: the driver calls nextBatch until that or batchWritten reports that
	// nothing is left. The connection starts no second turn before the first one has ended. A turn for a
	// broadcast lets the turns of other connections go first.
	schedule(broadcast bool)
	// flush is schedule for a caller that holds no lock: the driver may write in the calling goroutine.
	flush()
	// pauseReading is called within received: the driver reads nothing until resumeReading is called.
	pauseReading()
	resumeReading()
	// closeWrite ends the outbound half of the stream. Reading goes on.
	closeWrite()
	// close closes the socket. A second call does nothing.
	close()
}
