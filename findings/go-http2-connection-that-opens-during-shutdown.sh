#!/usr/bin/env bash
# Go 1.26.8, net/http with its own HTTP/2 and with golang.org/x/net/http2 v0.59.0: http.Server.Shutdown waits until its
# context ends for an HTTP/2 connection whose TLS handshake ends after the shutdown has begun.
#
# Guess: Shutdown asks every connection to close, those that are still opening too, and a connection without a request
# holds it up for five seconds at most, as net/http documents for new connections.
#
# Seen: the connection is idle, gets no GOAWAY frame and is not closed; Shutdown returns context.DeadlineExceeded. The same
# connection with HTTP/1.1 holds Shutdown up for some seconds only. A server that shuts down with a long or with no time
# limit, such as an aggregated Kubernetes API server (60 s), waits for all of it when a client connects in that moment.
#
# Output seen:
#   net/http, http/1.1: <nil>
#   net/http, h2: context deadline exceeded
#   x/net/http2, http/1.1: <nil>
#   x/net/http2, h2: context deadline exceeded
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
cat >main.go <<'GO'
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// outcome returns what Shutdown returns when a connection with the protocol opens while it runs.
func outcome(external bool, protocol string) error {
	accepted := make(chan struct{}, 1)
	server := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate()}},
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				accepted <- struct{}{}
			}
		},
	}
	if external {
		check(http2.ConfigureServer(server, nil))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go server.ServeTLS(listener, "", "")
	opening, err := net.Dial("tcp", listener.Addr().String())
	check(err)
	defer opening.Close()
	<-accepted

	ended := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		ended <- server.Shutdown(ctx)
	}()
	for {
		late, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		late.Close()
	}
	secured := tls.Client(opening, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	check(secured.Handshake())
	if protocol == "h2" {
		_, err := new(http2.Transport).NewClientConn(secured)
		check(err)
	}
	return <-ended
}

func main() {
	for _, protocol := range []string{"http/1.1", "h2"} {
		fmt.Printf("net/http, %s: %v\n", protocol, outcome(false, protocol))
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		fmt.Printf("x/net/http2, %s: %v\n", protocol, outcome(true, protocol))
	}
}
GO
go mod init example.com/shutdown 2>/dev/null
GOTOOLCHAIN=go1.26.8 go get golang.org/x/net/http2@v0.59.0 2>/dev/null
output=$(GOTOOLCHAIN=go1.26.8 go run .)
echo "$output"
expected='net/http, http/1.1: <nil>
net/http, h2: context deadline exceeded
x/net/http2, http/1.1: <nil>
x/net/http2, h2: context deadline exceeded'
if [ "$output" != "$expected" ]; then
  echo "the behaviour has changed; expected:" >&2
  echo "$expected" >&2
  exit 1
fi
