package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// dialTimeout bounds the time in which one URL answers.
const dialTimeout = 5 * time.Second

// dialer makes the connections of one client, one after the other. Only one goroutine may use it.
type dialer struct {
	log      *event.Log
	client   int
	protocol wsclient.Protocol
	channel  string
	// urls are the URLs of the fleet. The first one is that of the last connection.
	urls []fleetURL
}

// fleetURL is one of the fleet's URLs.
type fleetURL struct {
	// address is host:port.
	address string
	// tls is the configuration of TLS, or nil for a URL without it.
	tls *tls.Config
}

// fleetURLs returns the URL without TLS and, unless tlsAddress is empty, the one with it. certificate is in PEM.
func fleetURLs(address, tlsAddress, certificate string) []fleetURL {
	urls := []fleetURL{{address: address}}
	if tlsAddress != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(certificate))
		config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		urls = append(urls, fleetURL{address: tlsAddress, tls: config})
	}
	return urls
}

// dial connects to the URL of the last connection, or when that fails to the other one. It logs the connection, and
// each URL that failed. It returns the errors of all URLs when none answers.
func (d *dialer) dial(ctx context.Context) (*wsclient.Conn, error) {
	var failures []error
	for i, url := range d.urls {
		conn, err := d.dialURL(ctx, url)
		if err == nil {
			d.urls[0], d.urls[i] = d.urls[i], d.urls[0]
			d.add(event.Event{Kind: event.Opened, Node: conn.Node(), TLS: url.tls != nil})
			return conn, nil
		}
		d.add(event.Event{Kind: event.Failed, TLS: url.tls != nil, Reason: err.Error(), Code: status(err)})
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (d *dialer) dialURL(ctx context.Context, url fleetURL) (*wsclient.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return wsclient.DialTLS(ctx, d.protocol, url.address, d.channel, nil, url.tls)
}

// add logs an event of the client.
func (d *dialer) add(e event.Event) {
	e.Client = d.client
	d.log.Add(e)
}

// status returns the HTTP status of a refused handshake, or 0.
func status(err error) int {
	var refused *wsclient.Refused
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}
