// Package transport holds WebSocket connections: handshake, admission, bounded write queues,
// heartbeats and closing. It knows bytes and connections and nothing of channels, so that the way
// connections are driven can change without anything above it changing.
package transport
