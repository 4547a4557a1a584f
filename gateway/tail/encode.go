package tail

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// unencodable is why a stream ends that has a publication without JSON.
const unencodable = "a publication could not be encoded"

// encoder makes a publication a line. The field keeps pointers to different encoders different: the hub compares them.
type encoder struct{ _ byte }

// lines is the encoder of all streams.
var lines = &encoder{}

// Encode implements hub.Encoder. Joins and leaves have no line.
func (*encoder) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	if p.Kind != broker.KindPublication {
		return transport.Frame{}, nil
	}
	line, err := encode(p)
	if err != nil {
		return transport.Frame{}, err
	}
	return transport.NewFrame(transport.Text, line), nil
}

// encode returns the JSON of the line of a publication. It returns the encoder's error.
func encode(p broker.Publication) ([]byte, error) {
	line := contract.TailPublication{Offset: p.Offset, Epoch: p.Epoch, Tags: p.Tags}
	switch {
	case p.Binary:
		line.B64Data = p.Data
	case utf8.Valid(p.Data) && json.Valid(p.Data):
		line.Data = p.Data
	default:
		// A plain client may publish any text.
		text, err := json.Marshal(string(p.Data))
		if err != nil {
			return nil, err
		}
		line.Data = text
	}
	if p.Info != nil {
		line.Client, line.User = p.Info.Client, p.Info.User
	}
	return marshal(contract.TailLine{Publication: &line})
}

// marshal returns the JSON of a line, with <, > and & as they are.
func marshal(line contract.TailLine) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// Encoder implements hub.Subscriber.
func (*Stream) Encoder() hub.Encoder { return lines }

// Send implements hub.Subscriber.
func (s *Stream) Send(f transport.Frame) bool { return s.push(f.Message()) }

// InsufficientState implements hub.Subscriber.
func (s *Stream) InsufficientState(*hub.Subscription) {
	s.end("publications were lost between the gateways: begin again")
}
