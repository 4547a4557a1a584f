package centrifuge

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// encoder makes a publication the push that all subscribers of a channel get.
type encoder struct{ _ byte }

// Encode implements hub.Encoder.
func (*encoder) Encode(channel string, p broker.Publication) (transport.Frame, error) {
	data, err := jsonData(p)
	if err != nil {
		return transport.Frame{}, err
	}
	push := &cf.Push{Channel: channel, Pub: &cf.Publication{Data: data}}
	b, err := cf.NewJSONReplyEncoder().Encode(&cf.Reply{Push: push})
	if err != nil {
		return transport.Frame{}, fmt.Errorf("encode push: %w", err)
	}
	return transport.NewFrame(transport.Text, b), nil
}

// jsonData makes JSON of what plain clients and backends may have published: JSON stays what it is,
// other text becomes a JSON string, bytes become a JSON string in base64.
func jsonData(p broker.Publication) (cf.Raw, error) {
	if !p.Binary && json.Valid(p.Data) {
		return p.Data, nil
	}
	text := string(p.Data)
	if p.Binary {
		text = base64.StdEncoding.EncodeToString(p.Data)
	}
	b, err := json.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("encode data: %w", err)
	}
	return b, nil
}
