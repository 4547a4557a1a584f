package load

import "net"

// wires makes the wires of a shard: polled where that is possible.
type wires struct{ poller *poller }

func newWires(s *shard) (wires, error) {
	p, err := newPoller(s)
	return wires{p}, err
}

// add is called with the shard's lock held.
func (w wires) add(c *client, conn net.Conn) error {
	if tcp, ok := conn.(*net.TCPConn); ok {
		return w.poller.add(c, tcp)
	}
	c.shard.addBlocking(c, conn, c.shard.worker.options.Timeout)
	return nil
}

func (w wires) stop() { w.poller.stop() }
