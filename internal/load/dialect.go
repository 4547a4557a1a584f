package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// dialect is what differs between protocols.
type dialect interface {
	// target is where a client of a channel connects to.
	target(u url.URL, channel string) *url.URL
	// hello subscribes, and recovers where the past says so; nil where the handshake did.
	hello(channel string, p *past) []byte
	// publication is the frame that publishes a message; it is appended to b.
	publication(b []byte, channel string, number uint32, message []byte) []byte
	// received handles a whole message. An error ends the connection.
	received(c *client, data []byte, now int64) error
}

func newDialect(p Protocol) dialect {
	if p == Plain {
		return plain{}
	}
	return centrifuge{}
}

// withPath adds the protocol's own path to a URL without one.
func withPath(u url.URL, path string) *url.URL {
	if u.Path == "" || u.Path == "/" {
		u.Path = path
	}
	return &u
}

// plain is wsfleet's protocol for clients without a library.
type plain struct{}

func (plain) target(u url.URL, channel string) *url.URL {
	query := u.Query()
	query.Add("channel", channel)
	u.RawQuery = query.Encode()
	return withPath(u, contract.PathPlain)
}

func (plain) hello(string, *past) []byte { return nil }

func (plain) publication(b []byte, _ string, _ uint32, message []byte) []byte {
	return append(b, message...)
}

func (plain) received(c *client, data []byte, now int64) error {
	if m, found := findMessage(data); found {
		c.shard.delivered(c, m, now)
	}
	return nil
}

// centrifuge is version 2 of the Centrifuge client protocol, in JSON.
type centrifuge struct{}

// Command ids of a connection: the two of hello, then one per publication.
const (
	idConnect     = 1
	idSubscribe   = 2
	idPublication = 2 // + the publication's number
)

func (centrifuge) target(u url.URL, _ string) *url.URL { return withPath(u, contract.PathCentrifuge) }

func (centrifuge) hello(channel string, p *past) []byte {
	b := fmt.Appendf(nil, `{"id":%d,"connect":{}}`+"\n"+`{"id":%d,"subscribe":{"channel":%q`, idConnect, idSubscribe,
		channel)
	switch {
	case p.at.epoch != "":
		b = fmt.Appendf(b, `,"recover":true,"epoch":%q,"offset":%d`, p.at.epoch, p.at.offset)
	case p.kept:
		b = append(b, `,"recoverable":true`...)
	}
	return append(b, `}}`...)
}

func (centrifuge) publication(b []byte, channel string, number uint32, message []byte) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendUint(b, uint64(idPublication+number), 10)
	b = append(b, `,"publish":{"channel":`...)
	b = strconv.AppendQuote(b, channel)
	b = append(b, `,"data":`...)
	b = append(b, message...)
	return append(b, `}}`...)
}

// received takes a frame apart: several replies may share one, a line each.
func (d centrifuge) received(c *client, data []byte, now int64) error {
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		// Before the client is subscribed, messages come in the answer to subscribe, several in one line.
		if m, found := findMessage(line); found && c.state.Load() != connecting {
			c.past.pass(line)
			c.shard.delivered(c, m, now)
			continue
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case string(line) == "{}":
			c.pong(line)
		default:
			if err := d.reply(c, line, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// reply is what a run wants to know of an answer or a push that is no publication.
type reply struct {
	ID    uint32 `json:"id"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Subscribe *subscribed `json:"subscribe"`
	Push      *struct {
		Unsubscribe *struct {
			Code   int    `json:"code"`
			Reason string `json:"reason"`
		} `json:"unsubscribe"`
		Disconnect *struct {
			Code   int    `json:"code"`
			Reason string `json:"reason"`
		} `json:"disconnect"`
	} `json:"push"`
}

// subscribed is where a subscription begins in the channel's stream.
type subscribed struct {
	Recoverable  bool     `json:"recoverable"`
	Epoch        string   `json:"epoch"`
	Offset       uint64   `json:"offset"`
	Recovered    bool     `json:"recovered"`
	Publications []missed `json:"publications"`
}

// missed is a publication that a client gets when it comes back.
type missed struct {
	Data   json.RawMessage `json:"data"`
	Offset uint64          `json:"offset"`
}

func (d centrifuge) reply(c *client, line []byte, now int64) error {
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("the server sent what is no JSON: %.40q", line)
	}
	var failed error
	if r.Error != nil {
		failed = fmt.Errorf("the server answered error %d: %s", r.Error.Code, r.Error.Message)
	}
	switch {
	case r.Push != nil && r.Push.Unsubscribe != nil:
		return fmt.Errorf("the server unsubscribed the client: %d %s", r.Push.Unsubscribe.Code, r.Push.Unsubscribe.Reason)
	case r.Push != nil && r.Push.Disconnect != nil:
		return fmt.Errorf("the server disconnected the client: %d %s", r.Push.Disconnect.Code, r.Push.Disconnect.Reason)
	case r.ID == idConnect:
		return failed
	case r.ID == idSubscribe:
		if failed == nil {
			failed = d.begin(c, r.Subscribe, now)
		}
		return failed
	case r.ID > idPublication:
		c.shard.worker.answered(c, r.ID-idPublication, failed)
	}
	return nil
}

// errNoRecovery is a channel whose subscribers cannot recover.
var errNoRecovery = errors.New(
	"the server lets nobody recover in this channel: give it a rule with history and recovery")

// begin takes what the client missed, and lets it go on from there.
func (centrifuge) begin(c *client, s *subscribed, now int64) error {
	if c.past.kept {
		if s == nil || !s.Recoverable {
			return errNoRecovery
		}
		c.recovery = recovery{asked: c.past.at.epoch != "", recovered: s.Recovered, publications: int64(len(s.Publications))}
		c.past.at = position{s.Epoch, s.Offset}
		for _, p := range s.Publications {
			// The answer's offset is where these begin.
			c.past.at.offset = p.Offset
			if m, found := findMessage(p.Data); found {
				c.shard.delivered(c, m, now)
			}
		}
	}
	c.subscribed()
	return nil
}
