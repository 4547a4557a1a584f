//go:build !linux

package transport

import "net"

// loops are none: every connection has goroutines here.
type loops struct{}

func (*loops) close() {}

func (s *Server) newWire(c *conn, nc net.Conn) wire { return newBlockingWire(c, nc) }
