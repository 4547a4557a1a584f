// Package load is the engine of `wsfleet load`. It opens many WebSocket connections to a gateway, publishes through
// some of them, and reports what arrived, when, and how much CPU time and memory the server used.
//
// A director runs the scenario; workers own the clients. There is one worker in the director's process, or several
// in processes of their own when one process may not open enough file descriptors. Director and workers speak
// net/rpc, within one process over a pipe in memory. A worker spreads its clients over shards; one goroutine of a
// shard reads the sockets of all its clients.
//
// The clients of live outlive their connections: a worker's population holds them, lets them come back by their
// reconnect layers, and counts what happens to them from one event to the next.
//
// Frames and the handshake come from github.com/gobwas/ws and not from gateway/transport, so that a mistake there
// does not hide behind the same mistake here.
package load
