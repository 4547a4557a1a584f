package centrifuge

import (
	cf "github.com/centrifugal/protocol"
	"github.com/centrifugal/protocol/cfjson"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol/centrifuge/fossil"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// deltaFossil is the name of the format of deltas that SDKs ask for: that of the Fossil version control system
// (https://www.fossil-scm.org/home/doc/tip/www/delta_format.wiki).
const deltaFossil = "fossil"

// deltaEncoding encodes publications for subscriptions that the client and the gateway have agreed on deltas for. It
// implements hub.DeltaEncoder. In JSON the data of each publication is then a string: the text of a delta, or that of
// the whole data, of which the client makes the next one.
type deltaEncoding struct{ *encoding }

var _ hub.DeltaEncoder = (*deltaEncoding)(nil)

// Encode implements hub.Encoder. Its errors are those of encoding.Encode.
func (d *deltaEncoding) Encode(channel string, p broker.Publication) (transport.Frame, error) {
	if p.Kind != broker.KindPublication {
		return d.encoding.Encode(channel, p)
	}
	pub, err := d.unchanged(p)
	if err != nil {
		return transport.Frame{}, err
	}
	return d.frame(&cf.Reply{Push: &cf.Push{Channel: channel, Pub: pub}})
}

// EncodeDelta implements hub.DeltaEncoder. Its errors are those of encoding.Encode.
func (d *deltaEncoding) EncodeDelta(channel string, before, p broker.Publication) (transport.Frame, error) {
	pub, err := d.changed(before, p)
	if err != nil || pub == nil {
		return transport.Frame{}, err
	}
	return d.frame(&cf.Reply{Push: &cf.Push{Channel: channel, Pub: pub}})
}

// unchanged returns a publication with its whole data.
func (d *deltaEncoding) unchanged(p broker.Publication) (*cf.Publication, error) {
	pub := &cf.Publication{}
	if err := d.publication(pub, p); err != nil {
		return nil, err
	}
	pub.Data = d.text(pub.Data)
	return pub, nil
}

// changed returns a publication with what has changed since the one before, or nil when the whole one is better.
func (d *deltaEncoding) changed(before, p broker.Publication) (*cf.Publication, error) {
	base, err := d.data(before.Data, before.Binary)
	if err != nil {
		return nil, err
	}
	pub := &cf.Publication{Delta: true}
	if err := d.publication(pub, p); err != nil {
		return nil, err
	}
	delta := fossil.Create(base, pub.Data)
	if len(delta) >= len(pub.Data) {
		return nil, nil
	}
	pub.Data = d.text(delta)
	return pub, nil
}

// text returns data in the form that a client with deltas expects.
func (d *deltaEncoding) text(data cf.Raw) cf.Raw {
	if d.protocol == cf.TypeProtobuf {
		return data
	}
	return cfjson.AppendString(nil, string(data))
}
