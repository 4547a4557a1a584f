package plain

import (
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// encoder makes a publication the frame that it came as. It has no way to say who comes and goes.
type encoder struct{ _ byte }

// Encode implements hub.Encoder.
func (*encoder) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	if p.Kind != broker.KindPublication {
		return transport.Frame{}, nil
	}
	kind := transport.Text
	if p.Binary {
		kind = transport.Binary
	}
	return transport.NewFrame(kind, p.Data), nil
}
