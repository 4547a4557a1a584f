package load

import "net"

// shardSockets makes the sockets of a shard's clients: polled ones for TCP, blocking ones for TLS.
type shardSockets struct{ poller *poller }

func newShardSockets(s *shard) (shardSockets, error) {
	p, err := newPoller(s)
	return shardSockets{p}, err
}

// add makes the socket of a client. The caller holds the shard's mu.
func (w shardSockets) add(c *client, conn net.Conn) error {
	if tcp, ok := conn.(*net.TCPConn); ok {
		return w.poller.add(c, tcp)
	}
	c.shard.addBlocking(c, conn, c.shard.worker.options.Timeout)
	return nil
}

func (w shardSockets) stop() { w.poller.stop() }
