//go:build !linux

package transport

import (
	"crypto/tls"
	"net"
)

// loops are none: every connection has goroutines here.
type loops struct{}

func (*loops) close() {}

func (s *Server) newWire(c *conn, nc net.Conn) wire { return newBlockingWire(c, nc) }

// Front returns the listener as it is: every client is the HTTP server's here.
func (*Server) Front(l net.Listener, _ map[string]*Endpoint) (net.Listener, error) { return l, nil }

// Secure makes TLS connections of what a listener accepts.
func Secure(l net.Listener, config *tls.Config) net.Listener { return tls.NewListener(l, config) }
