package transport

// wire drives one socket. Its methods may be called at any time from anywhere, do not block, and
// call nothing of the connection before they return: they are called with its lock held.
type wire interface {
	// start begins to read, first of all what came with the handshake.
	start(early []byte)
	// schedule says that the connection's take has something. It is called again only after take or
	// wrote said that there is nothing more. Bulk is what goes to very many: others go ahead of it.
	schedule(bulk bool)
	// flush is schedule for a caller who may write himself, and holds no lock.
	flush()
	// pause stops the reading, resume takes it up.
	pause()
	resume()
	// closeWrite tells the peer that nothing follows. Reading goes on.
	closeWrite()
	// shut closes the socket. The second call does nothing.
	shut()
}
