package plain

import (
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// encoder makes a publication the frame that it was published as. Joins and leaves have no frame. The field keeps
// pointers to different encoders different: the hub compares them.
type encoder struct{ _ byte }

// Encode implements hub.Encoder. It never returns an error.
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
