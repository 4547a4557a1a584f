package centrifuge

import (
	"bytes"
	stdbase64 "encoding/base64"
	"encoding/binary"
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

// encoding is one of the two encodings of the protocol's messages. All clients with it share it.
type encoding struct {
	protocol  cf.Type
	kind      transport.Kind
	heartbeat *transport.Heartbeat
	// deltas encodes publications for subscriptions with deltas.
	deltas *deltaEncoding
}

func newJSON(interval, timeout time.Duration) *encoding {
	return newEncoding(cf.TypeJSON, transport.Text, []byte("{}"), interval, timeout)
}

func newProtobuf(interval, timeout time.Duration) *encoding {
	// An empty reply, with its length of zero in front.
	return newEncoding(cf.TypeProtobuf, transport.Binary, []byte{0}, interval, timeout)
}

func newEncoding(protocol cf.Type, kind transport.Kind, ping []byte, interval, timeout time.Duration) *encoding {
	e := &encoding{
		protocol: protocol, kind: kind,
		heartbeat: &transport.Heartbeat{
			Ping: transport.NewFrame(kind, ping), Interval: interval, Timeout: timeout,
		},
	}
	e.deltas = &deltaEncoding{e}
	return e
}

// commands decodes a frame of the messages in client.proto: JSON has one command a line, Protobuf has the length before
// each. It calls do for each command and returns the first error of do, or errMalformed.
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

// checkSizes returns errTooBig when one of the commands in a frame is larger than maxBytes.
func (e *encoding) checkSizes(frame []byte, maxBytes int) error {
	for len(frame) > maxBytes {
		size, next := e.commandSize(frame)
		if size > uint64(maxBytes) {
			return errTooBig
		}
		frame = frame[min(next, uint64(len(frame))):]
	}
	return nil
}

// commandSize returns the size of the first command in a frame that is not empty, and where the next one begins. A
// malformed frame has no further command.
func (e *encoding) commandSize(frame []byte) (size, next uint64) {
	if e.protocol == cf.TypeProtobuf {
		size, n := binary.Uvarint(frame)
		if n <= 0 || size > uint64(len(frame)) {
			return 0, uint64(len(frame))
		}
		return size, uint64(n) + size
	}
	if i := bytes.IndexByte(frame, '\n'); i >= 0 {
		return uint64(i), uint64(i) + 1
	}
	return uint64(len(frame)), uint64(len(frame))
}

// newBatch returns an encoder that gathers replies for one frame.
func (e *encoding) newBatch() cf.DataEncoder {
	if e.protocol == cf.TypeProtobuf {
		return cf.NewProtobufDataEncoder()
	}
	return cf.NewJSONDataEncoder()
}

// reply encodes one reply for a batch, or returns errEncode.
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

// frame returns a frame with one reply, or errEncode.
func (e *encoding) frame(r *cf.Reply) (transport.Frame, error) {
	b, err := e.reply(r)
	if err != nil {
		return transport.Frame{}, err
	}
	batch := e.newBatch()
	if err := batch.Encode(b); err != nil {
		return transport.Frame{}, errors.Join(errEncode, err)
	}
	return transport.NewFrame(e.kind, batch.FinishNoCopy()), nil
}

// Encode implements hub.Encoder: it returns the push of a publication that all subscribers of a channel get. An error
// says that the publication cannot be encoded.
func (e *encoding) Encode(channel string, p broker.Publication) (transport.Frame, error) {
	push := &cf.Push{Channel: channel}
	switch p.Kind {
	case broker.KindJoin:
		push.Join = &cf.Join{Info: e.info(p.Info)}
	case broker.KindLeave:
		push.Leave = &cf.Leave{Info: e.info(p.Info)}
	case broker.KindPublication:
		push.Pub = &cf.Publication{}
		if err := e.publication(push.Pub, p); err != nil {
			return transport.Frame{}, err
		}
	default:
		// A kind of a newer gateway.
		return transport.Frame{}, nil
	}
	return e.frame(&cf.Reply{Push: push})
}

// publication sets out to a publication as clients of this encoding see it.
func (e *encoding) publication(out *cf.Publication, p broker.Publication) (err error) {
	out.Offset, out.Info, out.Tags = p.Offset, e.info(p.Info), p.Tags
	out.Data, err = e.data(p.Data, p.Binary)
	return err
}

func (e *encoding) publications(ps []broker.Publication) ([]*cf.Publication, error) {
	all, out := make([]cf.Publication, len(ps)), make([]*cf.Publication, len(ps))
	for i, p := range ps {
		out[i] = &all[i]
		if err := e.publication(out[i], p); err != nil {
			return nil, errors.Join(errEncode, err)
		}
	}
	return out, nil
}

// info returns what others see about a client.
func (e *encoding) info(i *broker.ClientInfo) *cf.ClientInfo {
	if i == nil {
		return nil
	}
	return &cf.ClientInfo{User: i.User, Client: i.Client, ConnInfo: i.ConnInfo, ChanInfo: i.ChanInfo}
}

// data returns a payload as clients of this encoding see it. Protobuf carries bytes. In JSON, JSON stays as it is, that
// in bytes too, other text becomes a JSON string, and other bytes become a JSON string in base64.
func (e *encoding) data(data []byte, binary bool) (cf.Raw, error) {
	if e.protocol == cf.TypeProtobuf || isJSON(data) {
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

// isBinary reports whether data that a client of this encoding sent is bytes to others. Most clients that speak
// Protobuf send JSON in it.
func (e *encoding) isBinary(data []byte) bool {
	return e.protocol == cf.TypeProtobuf && !isJSON(data)
}

// isJSON reports whether data may stand in a JSON frame as it is. The standard library accepts bytes that are no UTF-8,
// and browsers close the connection at these (RFC 6455, section 8.1).
func isJSON(data []byte) bool { return utf8.Valid(data) && stdjson.Valid(data) }
