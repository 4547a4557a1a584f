package hooks

import (
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// ConnectResult is who a client is, as its backend says.
type ConnectResult struct {
	User string
	// ExpireAt is when the connection ends, in Unix seconds; 0 is never.
	ExpireAt int64
	// Info is JSON that others see of the client, or empty.
	Info json.RawMessage
	// Data goes to the client with the answer to its connect.
	Data Payload
	// Channels are subscribed to on the client's behalf.
	Channels []string
	// Caps are what the client may do in channels whose rules ask for it.
	Caps []Cap
}

// Cap lets a client do things in channels.
type Cap struct {
	Channels []string `json:"channels"`
	// Match is empty for names, MatchWildcard for patterns with *.
	Match string `json:"match,omitempty"`
	// Allow holds sub, pub, prs (presence) and hst (history).
	Allow []string `json:"allow"`
}

// MatchWildcard is the Match of a Cap whose channels are patterns.
const MatchWildcard = "wildcard"

// SubscribeResult is what a backend adds to a subscription.
type SubscribeResult struct {
	// Info is JSON that others see of the client in this channel, or empty.
	Info json.RawMessage
	// Data goes to the client with the answer to its subscribe.
	Data Payload
	// ExpireAt is when the subscription ends, in Unix seconds; 0 is never.
	ExpireAt int64
}

// PublishResult may hold a message that takes the place of the client's; without bytes it does not.
type PublishResult struct{ Data Payload }

// RPCResult is what a call returns.
type RPCResult struct{ Data Payload }

// envelope is every answer. Its members are read one by one: a refusal that cannot be read must not
// pass for no answer at all.
type envelope struct {
	Result     json.RawMessage `json:"result"`
	Error      json.RawMessage `json:"error"`
	Disconnect json.RawMessage `json:"disconnect"`
}

// result is every hook's; each uses a part of it.
type result struct {
	User     string          `json:"user"`
	ExpireAt int64           `json:"expire_at"`
	Info     json.RawMessage `json:"info"`
	Data     json.RawMessage `json:"data"`
	B64Data  json.RawMessage `json:"b64data"`
	Channels []string        `json:"channels"`
	Caps     []Cap           `json:"caps"`

	// payload is Data or B64Data.
	payload Payload
}

// parse reads an answer. The error is an *Error or a *Disconnect when the backend says so, and a
// *failure when it says nothing that counts.
func parse(body []byte) (*result, error) {
	var e envelope
	switch {
	case json.Unmarshal(body, &e) != nil:
		return nil, down("the answer is not JSON with result, error or disconnect")
	case !utf8.Valid(body):
		// JSON keeps such bytes, and a text frame that holds them makes every browser hang up.
		return nil, unusable("the answer is not UTF-8; send bytes as b64data")
	case present(e.Disconnect):
		return nil, refusal(e.Disconnect, "disconnect", &Disconnect{})
	case present(e.Error):
		return nil, refusal(e.Error, "error", &Error{})
	case !present(e.Result):
		return nil, down("the answer has no result, error or disconnect")
	}
	r := &result{}
	if err := json.Unmarshal(e.Result, r); err != nil {
		return nil, unusable("the answer's result cannot be used: %s", blame(err))
	}
	return r, r.check()
}

func present(m json.RawMessage) bool { return len(m) > 0 && string(m) != "null" }

// checked is a refusal that knows which codes it may have.
type checked interface {
	error
	check() error
}

// refusal reads a backend's no.
func refusal(m json.RawMessage, member string, to checked) error {
	if err := json.Unmarshal(m, to); err != nil {
		return unusable("the answer's %s cannot be used: %s", member, blame(err))
	}
	if err := to.check(); err != nil {
		return unusable("the answer's %v", err)
	}
	return to
}

// blame says what is wrong with JSON without repeating any of it.
func blame(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return wrong.Field + " has the wrong type"
	}
	return "it has the wrong type"
}

// check refuses what would be understood as something else than it says, and fills payload in.
func (r *result) check() error {
	if !present(r.Info) {
		r.Info = nil
	}
	if r.ExpireAt < 0 {
		return unusable("the answer's result.expire_at is negative")
	}
	for _, c := range r.Caps {
		if c.Match != "" && c.Match != MatchWildcard {
			return unusable("the answer's result.caps has a match that is not %s", MatchWildcard)
		}
		if slices.ContainsFunc(c.Allow, func(a string) bool { return !slices.Contains([]string{"sub", "pub", "prs", "hst"}, a) }) {
			return unusable("the answer's result.caps allows something that is not sub, pub, prs or hst")
		}
	}
	return r.readPayload()
}

func (r *result) readPayload() error {
	switch {
	case present(r.Data) && present(r.B64Data):
		return unusable("the answer's result has data and b64data; send one of them")
	case present(r.Data):
		r.payload = Payload{Bytes: r.Data}
	case present(r.B64Data):
		r.payload.Binary = true
		if json.Unmarshal(r.B64Data, &r.payload.Bytes) != nil {
			return unusable("the answer's result.b64data is not base64")
		}
	}
	return nil
}
