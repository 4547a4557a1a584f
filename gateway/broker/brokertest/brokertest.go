// Package brokertest is the conformance suite of brokers: Run tests what the interfaces of package broker promise. The
// tests of each broker run it.
package brokertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// timeout bounds how long anything may take.
const timeout = 30 * time.Second

// backlog is how many deliveries a node keeps until the test reads them.
const backlog = 10_000

// Node is a running broker of one gateway, and what it delivered.
type Node struct {
	broker.Broker
	Instance string
	// Got are publications that the node delivered, Messages what other nodes sent to it.
	Got      chan Delivery
	Messages chan []byte
}

// Delivery is a publication as it is delivered.
type Delivery struct {
	Channel string
	broker.Publication
}

// NewNode returns a node without a broker. It is the handler that its broker's Run gets.
func NewNode(instance string) *Node {
	return &Node{Instance: instance, Got: make(chan Delivery, backlog), Messages: make(chan []byte, backlog)}
}

// Deliver implements broker.PublicationHandler.
func (n *Node) Deliver(channel string, p broker.Publication) { n.Got <- Delivery{channel, p} }

// Resumed implements broker.PublicationHandler.
func (n *Node) Resumed(string) {}

// OnMessage implements broker.MessageHandler.
func (n *Node) OnMessage(message []byte) { n.Messages <- message }

// Runner is a broker that runs.
type Runner interface {
	// Run is that of broker.Broker and returns its error.
	Run(ctx context.Context, publications broker.PublicationHandler, messages broker.MessageHandler) error
}

// Connect gives a memory broker its handler without a goroutine that the test would have to end: the handler stays
// connected after Run has returned.
func Connect(b Runner, h broker.PublicationHandler) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.Run(ctx, h, nil)
}

// Listen subscribes and waits for the confirmation.
func (n *Node) Listen(t testing.TB, channel string) {
	t.Helper()
	confirmed := make(chan struct{})
	n.Subscribe(channel, func() { close(confirmed) })
	select {
	case <-confirmed:
	case <-time.After(timeout):
		t.Fatalf("subscription to %s not confirmed", channel)
	}
}

// Next returns what the node delivers next.
func (n *Node) Next(t testing.TB) Delivery {
	t.Helper()
	select {
	case d := <-n.Got:
		return d
	case <-time.After(timeout):
		t.Fatal("nothing was delivered")
		return Delivery{}
	}
}

// Run tests two nodes of one fleet. They may be the same node, if a broker serves one gateway only.
// Every test has names of its own, so that they share the pair.
func Run(t *testing.T, a, b *Node) {
	for _, part := range []map[string]func(*testing.T, *Node, *Node){streams, idempotency, presence, directory} {
		for name, test := range part {
			t.Run(name, func(t *testing.T) { test(t, a, b) })
		}
	}
}

// eventually calls ask until it returns true, and fails the test after timeout.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ask() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			require.NoError(t, errors.Join(ctx.Err(), errors.New("waited for "+what)))
		}
	}
}
