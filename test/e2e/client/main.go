// Command client holds WebSocket connections to a fleet from inside the cluster and prints their events, one JSON
// object per line. It reconnects after a random delay when the close code asks for it. With -visits it opens so many
// connections one after the other and ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
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
	for range *visits {
		err := visit(ctx, log, wsclient.Protocol(*protocol), *address, *channel, *holdTime)
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
			hold(ctx, log, i, wsclient.Protocol(*protocol), *address, *channel, seen)
		})
	}
	all.Wait()
}

// visit opens one connection and keeps it for a time, with messages of its own on it. It returns an error when the
// connection cannot be opened or ends before, or a message does not come back.
func visit(ctx context.Context, log *event.Log, protocol wsclient.Protocol, address, channel string,
	holdTime time.Duration) error {
	conn, err := dial(ctx, protocol, address, channel)
	if err != nil {
		return err
	}
	log.Add(event.Event{Kind: event.Opened, Node: conn.Node()})
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
func hold(ctx context.Context, log *event.Log, id int, protocol wsclient.Protocol, address, channel string,
	opened func()) {
	for ctx.Err() == nil {
		conn, err := dial(ctx, protocol, address, channel)
		if err != nil {
			log.Add(event.Event{Kind: event.Failed, Client: id, Reason: err.Error(), Code: status(err)})
			_ = sleep.For(ctx, jitter())
			continue
		}
		log.Add(event.Event{Kind: event.Opened, Client: id, Node: conn.Node()})
		opened()
		err = listen(ctx, log, id, conn)
		if ctx.Err() != nil {
			_ = conn.Close()
			return
		}
		var closed *wsclient.Closed
		if !errors.As(err, &closed) {
			closed = &wsclient.Closed{Code: wsclient.NoCloseFrame, Reason: err.Error()}
		}
		log.Add(event.Event{Kind: event.Closed, Client: id, Node: conn.Node(), Code: closed.Code, Reason: closed.Reason})
		if !closed.Reconnect() {
			return
		}
		_ = sleep.For(ctx, jitter())
	}
}

func dial(ctx context.Context, protocol wsclient.Protocol, address, channel string) (*wsclient.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return wsclient.Dial(ctx, protocol, address, channel, nil)
}

func listen(ctx context.Context, log *event.Log, id int, conn *wsclient.Conn) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		log.Add(event.Event{Kind: event.Message, Client: id, Node: conn.Node(), Reason: text})
	}
}

func status(err error) int {
	var refused *wsclient.Refused
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}

// jitter keeps clients from reconnecting all at once.
func jitter() time.Duration { return 100*time.Millisecond + rand.N(900*time.Millisecond) }
