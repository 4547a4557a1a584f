package hub_test

import (
	"fmt"
	"testing"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// sink takes frames and forgets them.
type sink struct{ encoder hub.Encoder }

func (s *sink) Encoder() hub.Encoder      { return s.encoder }
func (s *sink) Send(transport.Frame) bool { return true }

func (s *sink) InsufficientState(*hub.Subscription) {}

// plain makes frames and remembers none.
type plain struct{}

func (plain) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	return transport.NewFrame(transport.Text, p.Data), nil
}

func silent() *hub.Hub {
	h, _ := newHub(hub.Options{})
	return h
}

// BenchmarkBroadcast is one publication to some subscribers, but for what their connections do
// with it.
func BenchmarkBroadcast(b *testing.B) {
	for _, subscribers := range []int{1, 100, 19_000} {
		b.Run(fmt.Sprintf("%d subscribers", subscribers), func(b *testing.B) {
			h, e := silent(), plain{}
			for range subscribers {
				hold, err := h.Subscribe(b.Context(), "lobby")
				if err != nil {
					b.Fatal(err)
				}
				hold.Attach(&sink{e}, hub.AttachOptions{}, nil)
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

// BenchmarkSubscribe is a client that comes to a channel and goes.
func BenchmarkSubscribe(b *testing.B) {
	h, m := silent(), &sink{plain{}}
	resident, err := h.Subscribe(b.Context(), "lobby")
	if err != nil {
		b.Fatal(err)
	}
	defer resident.Release()
	b.ReportAllocs()
	for b.Loop() {
		hold, err := h.Subscribe(b.Context(), "lobby")
		if err != nil {
			b.Fatal(err)
		}
		hold.Attach(m, hub.AttachOptions{}, nil)
		hold.Release()
	}
}
