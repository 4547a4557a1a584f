package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/gobwas/ws"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// protocolClient is the client side of one protocol.
type protocolClient interface {
	// dialURL returns the URL that a client of a channel connects to.
	dialURL(u url.URL, channel string) *url.URL
	// subscribeFrames returns the messages that connect and subscribe to channels, with positions when the client
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

// subscribeID returns the id of the command that begins a client's subscription with an index.
func subscribeID(index int) uint32 {
	if index == 0 {
		return idSubscribe
	}
	return idFurther + uint32(index)
}

// subscriptionIndex returns the index of the subscription that the command with an id begins, and false when that
// command is none of n subscriptions.
func subscriptionIndex(id uint32, n int) (index int, found bool) {
	switch {
	case id == idSubscribe:
		return 0, true
	case id > idFurther:
		return int(id - idFurther), int(id-idFurther) < n
	}
	return 0, false
}

func (centrifuge) dialURL(u url.URL, _ string) *url.URL { return withPath(u, contract.PathCentrifuge) }

func (d centrifuge) subscribeFrames(channels []string, p *resumeState) (first, then []byte) {
	connect := fmt.Appendf(nil, `{"id":%d,"connect":{}}`, idConnect)
	var b []byte
	for i, channel := range channels {
		b = fmt.Appendf(b, "\n"+`{"id":%d,"subscribe":{"channel":%q`, subscribeID(i), channel)
		switch {
		case !p.enabled():
		case p.positions[i].epoch != "":
			b = fmt.Appendf(b, `,"recover":true,"epoch":%q,"offset":%d`, p.positions[i].epoch, p.positions[i].offset)
		default:
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
		// While the client is connecting, messages come in replies to subscribe too, several in one line.
		if m, found := findMessage(line); found && c.state.Load() != connecting {
			c.publication(line, m, now)
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

// serverReply holds the fields that this package uses of a reply or a push.
type serverReply struct {
	ID    uint32 `json:"id"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Connect *struct {
		// Ping is the time between pings in seconds.
		Ping int `json:"ping"`
	} `json:"connect"`
	Subscribe *subscribeResult `json:"subscribe"`
	Push      *struct {
		Pub *struct {
			Data json.RawMessage `json:"data"`
		} `json:"pub"`
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
	subscription, subscribes := subscriptionIndex(r.ID, c.shard.worker.plan.subscriptions)
	var failed error
	if r.Error != nil {
		failed = fmt.Errorf("the server answered error %d: %s", r.Error.Code, r.Error.Message)
	}
	switch {
	case r.Push != nil && r.Push.Pub != nil:
		if m, found := findMessage(r.Push.Pub.Data); found {
			c.publication(line, m, now)
		}
	case r.Push != nil && r.Push.Unsubscribe != nil:
		return fmt.Errorf("the server unsubscribed the client: %d %s", r.Push.Unsubscribe.Code, r.Push.Unsubscribe.Reason)
	case r.Push != nil && r.Push.Disconnect != nil:
		return &closeError{r.Push.Disconnect.Code, r.Push.Disconnect.Reason, "the server disconnected the client"}
	case r.ID == idConnect:
		if r.Connect != nil {
			c.pingInterval = time.Duration(r.Connect.Ping) * time.Second
		}
		if failed == nil && c.afterConnect != nil {
			failed = c.socket.write(maskedFrame(nil, ws.OpText, c.afterConnect))
			c.afterConnect = nil
		}
		return failed
	case subscribes:
		if failed == nil {
			failed = d.startSubscription(c, subscription, r.Subscribe, now)
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
func (centrifuge) startSubscription(c *client, index int, s *subscribeResult, now int64) error {
	if c.resume.enabled() {
		if s == nil || !s.Recoverable {
			return errNoRecovery
		}
		at := &c.resume.positions[index]
		if at.epoch != "" {
			c.recovery.add(s)
			c.resume.toldComplete = s.Recovered
		}
		*at = position{s.Epoch, s.Offset}
		for _, p := range s.Publications {
			// The offset of the reply is the one before these publications.
			at.offset = p.Offset
			if m, found := findMessage(p.Data); found {
				c.shard.delivered(c, m, now)
			}
		}
	}
	c.markSubscribed()
	return nil
}
