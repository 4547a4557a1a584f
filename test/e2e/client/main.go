// Command client holds WebSocket connections to a fleet from inside the cluster and prints their events, one JSON
// object per line. It reconnects after a random delay when the close code asks for it. With -visits it opens so many
// connections one after the other and ends. With -tls-address it knows two URLs of the fleet, and changes to the other
// one when it cannot connect to that of before.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/wsfleet/wsfleet/internal/sleep"
	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

func main() {
	address := flag.String("address", "", "host:port of the fleet")
	tlsAddress := flag.String("tls-address", "", "host:port of the fleet with TLS, when -address cannot be reached")
	certificate := flag.String("certificate", "", "certificate in PEM that the client trusts")
	protocol := flag.String("protocol", "plain", "plain, centrifuge, or sdk: the Centrifuge SDK, with recovery")
	channel := flag.String("channel", "lobby", "channel that every connection subscribes to")
	connections := flag.Int("connections", 1, "connections to hold; 0 only waits for the end, for use with -visits")
	visits := flag.Int("visits", 0, "open so many connections one after the other, hold each for -hold, and end")
	holdTime := flag.Duration("hold", 0, "how long -visits holds a connection")
	pause := flag.Duration("pause", 0, "how long -visits waits between two connections")
	flag.Parse()
	if *address == "" || *connections < 0 {
		fmt.Fprintln(os.Stderr, "client: -address is needed, and no negative number of connections")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := event.NewLog(os.Stdout)
	urls := fleetURLs(*address, *tlsAddress, *certificate)
	newDialer := func(client int) *dialer {
		return &dialer{
			log:      log,
			client:   client,
			protocol: wsclient.Protocol(*protocol),
			channel:  *channel,
			urls:     slices.Clone(urls),
		}
	}
	visitor := newDialer(0)
	for range *visits {
		err := visit(ctx, visitor, *holdTime)
		if err == nil {
			err = sleep.For(ctx, *pause)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "client:", err)
			stop()
			os.Exit(1) //nolint:gocritic // stop has been called
		}
	}
	if *visits > 0 {
		return
	}
	if *connections == 0 {
		<-ctx.Done()
	}
	// The first connection is made alone: ClientIP affinity works once kube-proxy has seen the address, and not for
	// handshakes at the same moment.
	first := make(chan struct{})
	seen := sync.OnceFunc(func() { close(first) })
	var all sync.WaitGroup
	for i := range *connections {
		all.Go(func() {
			if i > 0 {
				select {
				case <-ctx.Done():
				case <-first:
				}
			}
			if *protocol == event.SDK {
				follow(ctx, log, i, *address, *channel, seen)
				return
			}
			hold(ctx, newDialer(i), seen)
		})
	}
	all.Wait()
}

// visit opens one connection and keeps it for a time, with messages of its own on it. It returns an error when the
// connection cannot be opened or ends before, or a message does not come back.
func visit(ctx context.Context, fleet *dialer, holdTime time.Duration) error {
	conn, err := fleet.dial(ctx)
	if err != nil {
		return err
	}
	for end := time.Now().Add(holdTime); time.Now().Before(end); {
		if err := errors.Join(echo(ctx, conn), sleep.For(ctx, time.Second)); err != nil {
			return err
		}
	}
	return conn.Close()
}

// echo publishes a message and waits until it comes back. It returns an error when that takes longer than 5 seconds,
// the gateway refuses the publication, or the connection ends.
func echo(ctx context.Context, conn *wsclient.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	message := strconv.FormatUint(rand.Uint64(), 36)
	if err := conn.Publish(ctx, message); err != nil {
		return err
	}
	for {
		if received, err := conn.Receive(ctx); err != nil || received == message {
			return err
		}
	}
}

// hold keeps one connection until ctx ends or the gateway says not to come back; it calls opened each
// time that it has one.
func hold(ctx context.Context, fleet *dialer, opened func()) {
	for ctx.Err() == nil {
		conn, err := fleet.dial(ctx)
		if err != nil {
			_ = sleep.For(ctx, jitter())
			continue
		}
		opened()
		err = listen(ctx, fleet, conn)
		if ctx.Err() != nil {
			_ = conn.Close()
			return
		}
		var closed *wsclient.Closed
		if !errors.As(err, &closed) {
			closed = &wsclient.Closed{Code: wsclient.NoCloseFrame, Reason: err.Error()}
		}
		fleet.add(event.Event{Kind: event.Closed, Node: conn.Node(), Code: closed.Code, Reason: closed.Reason})
		if !closed.Reconnect() {
			return
		}
		_ = sleep.For(ctx, jitter())
	}
}

func listen(ctx context.Context, fleet *dialer, conn *wsclient.Conn) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		fleet.add(event.Event{Kind: event.Message, Node: conn.Node(), Reason: text})
	}
}

// jitter keeps clients from reconnecting all at once.
func jitter() time.Duration { return 100*time.Millisecond + rand.N(900*time.Millisecond) }
