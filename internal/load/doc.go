// Package load opens many WebSocket connections to a gateway, publishes through some of them, and
// tells what arrived, when, and what it cost the server.
//
// A run is directed by one process and carried out by workers: one in the same process, or several
// in processes of their own when the file descriptors of one do not suffice. Director and workers speak
// net/rpc, in one process over a pipe in memory, so there is one way to do it. A worker spreads its
// clients over shards; a shard reads its clients' sockets with one goroutine.
//
// Frames and the handshake are github.com/gobwas/ws's, not gateway/transport's, so that a mistake
// there does not hide behind the same one here.
package load
