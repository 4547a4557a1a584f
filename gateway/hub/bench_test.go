package hub_test

import (
	"fmt"
	"testing"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// discarder is a subscriber that discards frames.
type discarder struct{ encoder hub.Encoder }

func (d *discarder) Encoder() hub.Encoder      { return d.encoder }
func (d *discarder) Send(transport.Frame) bool { return true }

func (d *discarder) InsufficientState(*hub.Subscription) {}

// plainEncoder makes frames and keeps none.
type plainEncoder struct{}

func (plainEncoder) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	return transport.NewFrame(transport.Text, p.Data), nil
}

func newQuietHub() *hub.Hub {
	h, _ := newHub(hub.Options{})
	return h
}

// BenchmarkBroadcast delivers one publication to some subscribers, without the work of their connections.
func BenchmarkBroadcast(b *testing.B) {
	for _, subscribers := range []int{1, 100, 19_000} {
		b.Run(fmt.Sprintf("%d subscribers", subscribers), func(b *testing.B) {
			h, e := newQuietHub(), plainEncoder{}
			for range subscribers {
				subscription, err := h.Subscribe(b.Context(), "lobby")
				if err != nil {
					b.Fatal(err)
				}
				subscription.Attach(&discarder{e}, hub.AttachOptions{}, nil)
			}
			p := broker.Publication{Data: make([]byte, 100)}
			b.ReportAllocs()
			for b.Loop() {
				h.Deliver("lobby", p)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(subscribers), "ns/delivery")
		})
	}
}

// BenchmarkSubscribe subscribes a client to a channel, attaches and releases it.
func BenchmarkSubscribe(b *testing.B) {
	h, m := newQuietHub(), &discarder{plainEncoder{}}
	other, err := h.Subscribe(b.Context(), "lobby")
	if err != nil {
		b.Fatal(err)
	}
	defer other.Release()
	b.ReportAllocs()
	for b.Loop() {
		subscription, err := h.Subscribe(b.Context(), "lobby")
		if err != nil {
			b.Fatal(err)
		}
		subscription.Attach(m, hub.AttachOptions{}, nil)
		subscription.Release()
	}
}
