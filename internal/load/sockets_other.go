//go:build !linux

package load

import "net"

// shardSockets makes the sockets of a shard's clients.
type shardSockets struct{}

func newShardSockets(*shard) (shardSockets, error) { return shardSockets{}, nil }

func (shardSockets) add(c *client, conn net.Conn) error {
	c.shard.addBlocking(c, conn, c.shard.worker.options.Timeout)
	return nil
}

func (shardSockets) stop() {}
