//go:build !linux

package load

import "net"

// wires makes the wires of a shard.
type wires struct{}

func newWires(*shard) (wires, error) { return wires{}, nil }

func (wires) add(c *client, conn net.Conn) error {
	c.shard.addBlocking(c, conn, c.shard.worker.options.Timeout)
	return nil
}

func (wires) stop() {}
