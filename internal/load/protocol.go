package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/gobwas/ws"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// protocolClient is the client side of one protocol.
type protocolClient interface {
	// dialURL returns the URL that a client of a channel connects to.
	dialURL(u url.URL, channel string) *url.URL
	// subscribeFrames returns the messages that connect and subscribe to channels, with the position when the client
	// recovers: the first, and the one that follows the answer to it, or nil. Both are nil when the handshake subscribes.
	subscribeFrames(channels []string, p *resumeState) (first, then []byte)
	// publishFrame appends the payload of the frame that publishes a message to b.
	publishFrame(b []byte, channel string, number uint32, message []byte) []byte
	// handleMessage handles a complete message that a client received at now. An error ends the connection. The caller
	// holds the mu of the client's shard.
	handleMessage(c *client, data []byte, now int64) error
}

func newProtocolClient(o Options) protocolClient {
	if o.Protocol == Plain {
		return plain{}
	}
	return centrifuge{connectFirst: o.ConnectFirst}
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

func (plain) dialURL(u url.URL, channel string) *url.URL {
	query := u.Query()
	query.Add("channel", channel)
	u.RawQuery = query.Encode()
	return withPath(u, contract.PathPlain)
}

func (plain) subscribeFrames([]string, *resumeState) (first, then []byte) { return nil, nil }

func (plain) publishFrame(b []byte, _ string, _ uint32, message []byte) []byte {
	return append(b, message...)
}

func (plain) handleMessage(c *client, data []byte, now int64) error {
	if m, found := findMessage(data); found {
		c.shard.delivered(c, m, now)
	}
	return nil
}

// centrifuge is version 2 of the Centrifuge client protocol, in JSON.
type centrifuge struct {
	// connectFirst sends the subscriptions once connect is answered, as SDKs do.
	connectFirst bool
}

// The command ids of a connection: the two of a client with one subscription, then one per publication. The further
// subscriptions come behind all publications.
const (
	idConnect     = 1
	idSubscribe   = 2
	idPublication = 2       // + the publication's number
	idFurther     = 1 << 31 // + the index of the subscription
)

func (centrifuge) dialURL(u url.URL, _ string) *url.URL { return withPath(u, contract.PathCentrifuge) }

func (d centrifuge) subscribeFrames(channels []string, p *resumeState) (first, then []byte) {
	connect := fmt.Appendf(nil, `{"id":%d,"connect":{}}`, idConnect)
	var b []byte
	for i, channel := range channels {
		id := uint32(idSubscribe)
		if i > 0 {
			id = idFurther + uint32(i)
		}
		b = fmt.Appendf(b, "\n"+`{"id":%d,"subscribe":{"channel":%q`, id, channel)
		switch {
		case p.position.epoch != "":
			b = fmt.Appendf(b, `,"recover":true,"epoch":%q,"offset":%d`, p.position.epoch, p.position.offset)
		case p.enabled:
			b = append(b, `,"recoverable":true`...)
		}
		b = append(b, `}}`...)
	}
	if d.connectFirst {
		return connect, b[1:]
	}
	return append(connect, b...), nil
}

func (centrifuge) publishFrame(b []byte, channel string, number uint32, message []byte) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendUint(b, uint64(idPublication+number), 10)
	b = append(b, `,"publish":{"channel":`...)
	b = strconv.AppendQuote(b, channel)
	b = append(b, `,"data":`...)
	b = append(b, message...)
	return append(b, `}}`...)
}

// handleMessage handles the replies of a frame, one per line.
func (d centrifuge) handleMessage(c *client, data []byte, now int64) error {
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		// While the client is connecting, messages come in the reply to subscribe, several in one line.
		if m, found := findMessage(line); found && c.state.Load() != connecting {
			c.resume.advance(line)
			c.shard.delivered(c, m, now)
			continue
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case string(line) == "{}":
			c.answerPing(line)
		default:
			if err := d.handleReply(c, line, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// serverReply holds the fields that this package uses of a reply, or of a push that is no publication.
type serverReply struct {
	ID    uint32 `json:"id"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Subscribe *subscribeResult `json:"subscribe"`
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

// subscribeResult says where a subscription begins in the channel's stream.
type subscribeResult struct {
	Recoverable  bool                `json:"recoverable"`
	Epoch        string              `json:"epoch"`
	Offset       uint64              `json:"offset"`
	Recovered    bool                `json:"recovered"`
	Publications []missedPublication `json:"publications"`
}

// missedPublication is a publication that a client recovers when it subscribes.
type missedPublication struct {
	Data   json.RawMessage `json:"data"`
	Offset uint64          `json:"offset"`
}

func (d centrifuge) handleReply(c *client, line []byte, now int64) error {
	var r serverReply
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
		if failed == nil && c.afterConnect != nil {
			failed = c.socket.write(maskedFrame(nil, ws.OpText, c.afterConnect))
			c.afterConnect = nil
		}
		return failed
	case r.ID == idSubscribe || r.ID > idFurther:
		if failed == nil {
			failed = d.startSubscription(c, r.Subscribe, now)
		}
		return failed
	case r.ID > idPublication:
		c.shard.worker.publishAnswered(c, r.ID-idPublication, failed)
	}
	return nil
}

// errNoRecovery says that the subscribers of a channel cannot recover.
var errNoRecovery = errors.New(
	"the server allows no recovery in this channel: give it a rule with history and recovery")

// startSubscription counts the publications that the client missed, and sets its position behind them.
func (centrifuge) startSubscription(c *client, s *subscribeResult, now int64) error {
	if c.resume.enabled {
		if s == nil || !s.Recoverable {
			return errNoRecovery
		}
		c.recovery = recovery{
			requested:    c.resume.position.epoch != "",
			recovered:    s.Recovered,
			publications: int64(len(s.Publications)),
		}
		c.resume.position = position{s.Epoch, s.Offset}
		for _, p := range s.Publications {
			// The offset of the reply is the one before these publications.
			c.resume.position.offset = p.Offset
			if m, found := findMessage(p.Data); found {
				c.shard.delivered(c, m, now)
			}
		}
	}
	c.markSubscribed()
	return nil
}
