package centrifuge

import (
	stdbase64 "encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// encoding is one of the two ways to write the protocol's messages. All clients of a kind share it.
type encoding struct {
	protocol  cf.Type
	kind      transport.Kind
	heartbeat *transport.Heartbeat
}

func newJSON(interval, timeout time.Duration) *encoding {
	return newEncoding(cf.TypeJSON, transport.Text, []byte("{}"), interval, timeout)
}

func newProtobuf(interval, timeout time.Duration) *encoding {
	// An empty message, and its length in front.
	return newEncoding(cf.TypeProtobuf, transport.Binary, []byte{0}, interval, timeout)
}

func newEncoding(protocol cf.Type, kind transport.Kind, ping []byte, interval, timeout time.Duration) *encoding {
	return &encoding{protocol: protocol, kind: kind, heartbeat: &transport.Heartbeat{Ping: transport.NewFrame(kind, ping), Interval: interval, Timeout: timeout}}
}

// commands decodes a frame and hands its commands on one by one.
func (e *encoding) commands(frame []byte, do func(*cf.Command) error) error {
	decoder := cf.GetCommandDecoder(e.protocol, frame)
	defer cf.PutCommandDecoder(e.protocol, decoder)
	for {
		cmd, err := decoder.Decode()
		last := errors.Is(err, io.EOF)
		if err != nil && !last || cmd == nil {
			return errors.Join(errMalformed, err)
		}
		if err := do(cmd); err != nil || last {
			return err
		}
	}
}

// batch gathers replies for one frame.
func (e *encoding) batch() cf.DataEncoder {
	if e.protocol == cf.TypeProtobuf {
		return cf.NewProtobufDataEncoder()
	}
	return cf.NewJSONDataEncoder()
}

// reply is one reply as it stands in a batch.
func (e *encoding) reply(r *cf.Reply) (b []byte, err error) {
	if e.protocol == cf.TypeProtobuf {
		b, err = cf.NewProtobufReplyEncoder().Encode(r)
	} else {
		b, err = cf.NewJSONReplyEncoder().Encode(r)
	}
	if err != nil {
		return nil, errors.Join(errEncode, err)
	}
	return b, nil
}

// frame is one reply by itself.
func (e *encoding) frame(r *cf.Reply) (transport.Frame, error) {
	b, err := e.reply(r)
	if err != nil {
		return transport.Frame{}, err
	}
	batch := e.batch()
	if err := batch.Encode(b); err != nil {
		return transport.Frame{}, errors.Join(errEncode, err)
	}
	return transport.NewFrame(e.kind, batch.FinishNoCopy()), nil
}

// Encode implements hub.Encoder: a publication becomes the push that all subscribers of a channel get.
func (e *encoding) Encode(channel string, p broker.Publication) (transport.Frame, error) {
	push := &cf.Push{Channel: channel}
	switch p.Kind {
	case broker.KindJoin:
		push.Join = &cf.Join{Info: e.info(p.Info)}
	case broker.KindLeave:
		push.Leave = &cf.Leave{Info: e.info(p.Info)}
	case broker.KindPublication:
		pub, err := e.publication(p)
		if err != nil {
			return transport.Frame{}, err
		}
		push.Pub = pub
	default:
		// Of a newer gateway.
		return transport.Frame{}, nil
	}
	return e.frame(&cf.Reply{Push: push})
}

// publication is one as clients of this encoding see it.
func (e *encoding) publication(p broker.Publication) (*cf.Publication, error) {
	data, err := e.data(p.Data, p.Binary)
	if err != nil {
		return nil, err
	}
	return &cf.Publication{Data: data, Offset: p.Offset, Info: e.info(p.Info), Tags: p.Tags}, nil
}

func (e *encoding) publications(ps []broker.Publication) ([]*cf.Publication, error) {
	out := make([]*cf.Publication, 0, len(ps))
	for _, p := range ps {
		pub, err := e.publication(p)
		if err != nil {
			return nil, errors.Join(errEncode, err)
		}
		out = append(out, pub)
	}
	return out, nil
}

// info is what others see of a client.
func (e *encoding) info(i *broker.ClientInfo) *cf.ClientInfo {
	if i == nil {
		return nil
	}
	return &cf.ClientInfo{User: i.User, Client: i.Client, ConnInfo: i.ConnInfo, ChanInfo: i.ChanInfo}
}

// data is a payload as clients of this encoding see it. Protobuf carries bytes. JSON stays what it is,
// other text becomes a JSON string, bytes become a JSON string in base64.
func (e *encoding) data(data []byte, binary bool) (cf.Raw, error) {
	if e.protocol == cf.TypeProtobuf || !binary && isJSON(data) {
		return data, nil
	}
	text := string(data)
	if binary {
		text = stdbase64.StdEncoding.EncodeToString(data)
	}
	b, err := stdjson.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("encode data: %w", err)
	}
	return b, nil
}

// isBinary tells whether what a client of this encoding sent is bytes to others. Most that speak
// Protobuf send JSON in it.
func (e *encoding) isBinary(data []byte) bool {
	return e.protocol == cf.TypeProtobuf && !isJSON(data)
}

// isJSON tells what may stand in a JSON frame as it is. The standard library lets bytes pass that are no
// UTF-8, and browsers hang up on these.
func isJSON(data []byte) bool { return utf8.Valid(data) && stdjson.Valid(data) }
