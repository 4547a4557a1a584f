package hooks

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"
)

// ConnectResult describes a client that may connect.
type ConnectResult struct {
	User string
	// ExpireAt is when the connection expires, in Unix seconds. 0 is never.
	ExpireAt int64
	// Info is JSON that other clients see in presence, or empty.
	Info json.RawMessage
	// Data is sent to the client with the reply to its connect command.
	Data Payload
	// Channels are the channels that the client is subscribed to at once.
	Channels []string
	// Caps are the capabilities of the client, for channels whose rules require one.
	Caps []Cap
}

// Cap is a capability: what a client may do in some channels.
type Cap struct {
	Channels []string `json:"channels"`
	// Match is empty when Channels are names, and MatchWildcard when they are patterns with "*".
	Match string `json:"match,omitempty"`
	// Allow contains any of sub (subscribe), pub (publish), prs (presence) and hst (history).
	Allow []string `json:"allow"`
}

// MatchWildcard is the Match of a Cap whose channels are patterns.
const MatchWildcard = "wildcard"

// SubscribeResult describes a subscription that the client may have.
type SubscribeResult struct {
	// Info is JSON that other clients see in the presence of this channel, or empty.
	Info json.RawMessage
	// Data is sent to the client with the reply to its subscribe command.
	Data Payload
	// ExpireAt is when the subscription expires, in Unix seconds. 0 is never.
	ExpireAt int64
}

// PublishResult contains the message that replaces the client's. A Payload without bytes replaces nothing.
type PublishResult struct{ Data Payload }

// RPCResult is the result of a client's call.
type RPCResult struct{ Data Payload }

// RefreshResult says whether a client or a subscription may go on.
type RefreshResult struct {
	// Expired means that it may not.
	Expired bool
	// ExpireAt is when it has to be asked for again, in Unix seconds. 0 is never.
	ExpireAt int64
	// Info replaces what other clients see, unless it is empty.
	Info json.RawMessage
}

// envelope is the body of every answer. Its members are decoded one by one, so that a refusal with a wrong type is not
// taken for no answer.
type envelope struct {
	Result     json.RawMessage `json:"result"`
	Error      json.RawMessage `json:"error"`
	Disconnect json.RawMessage `json:"disconnect"`
}

// result has the members of the results of all callbacks.
type result struct {
	User     string          `json:"user"`
	ExpireAt int64           `json:"expire_at"`
	Expired  bool            `json:"expired"`
	Info     json.RawMessage `json:"info"`
	Data     json.RawMessage `json:"data"`
	B64Data  json.RawMessage `json:"b64data"`
	Channels []string        `json:"channels"`
	Caps     []Cap           `json:"caps"`

	// payload is the decoded Data or B64Data.
	payload Payload
}

// parse decodes the body of an answer. It returns the backend's *Error or *Disconnect as the error, and a *failure when
// the answer cannot be used.
func parse(body []byte) (*result, error) {
	var e envelope
	switch {
	case json.Unmarshal(body, &e) != nil:
		return nil, down("the answer is not JSON with result, error or disconnect")
	case !utf8.Valid(body):
		// JSON keeps invalid UTF-8, and every browser closes the connection when a text frame contains it (RFC 6455,
		// section 8.1).
		return nil, unusable("the answer is not UTF-8; send bytes as b64data")
	case isSet(e.Disconnect):
		return nil, parseRefusal(e.Disconnect, "disconnect", &Disconnect{})
	case isSet(e.Error):
		return nil, parseRefusal(e.Error, "error", &Error{})
	case !isSet(e.Result):
		return nil, down("the answer has no result, error or disconnect")
	}
	r := &result{}
	if err := json.Unmarshal(e.Result, r); err != nil {
		return nil, unusable("the answer's result cannot be used: %s", describeError(err))
	}
	return r, r.check()
}

// unknownMembers returns the members of the result in an answer that no hook knows, sorted.
func unknownMembers(body []byte) (unknown []string) {
	var e envelope
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &e) != nil || json.Unmarshal(e.Result, &members) != nil {
		return nil
	}
	known := []string{"user", "expire_at", "expired", "info", "data", "b64data", "channels", "caps"}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// isSet reports whether a member is there and not null.
func isSet(m json.RawMessage) bool { return len(m) > 0 && string(m) != "null" }

// refusal is an *Error or a *Disconnect.
type refusal interface {
	error
	check() error
}

// parseRefusal decodes a member of the answer into to and returns to, or a *failure when it cannot be used.
func parseRefusal(m json.RawMessage, member string, to refusal) error {
	if err := json.Unmarshal(m, to); err != nil {
		return unusable("the answer's %s cannot be used: %s", member, describeError(err))
	}
	if err := to.check(); err != nil {
		return unusable("the answer's %v", err)
	}
	return to
}

// describeError says what is wrong with the JSON of an answer without repeating any of it.
func describeError(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return wrong.Field + " has the wrong type"
	}
	return "it has the wrong type"
}

// check returns a *failure for members that cannot be used. It sets payload.
func (r *result) check() error {
	if !isSet(r.Info) {
		r.Info = nil
	}
	if r.ExpireAt < 0 {
		return unusable("the answer's result.expire_at is negative")
	}
	for _, c := range r.Caps {
		if c.Match != "" && c.Match != MatchWildcard {
			return unusable("the answer's result.caps has a match that is not %s", MatchWildcard)
		}
		unknown := func(a string) bool { return !slices.Contains([]string{"sub", "pub", "prs", "hst"}, a) }
		if slices.ContainsFunc(c.Allow, unknown) {
			return unusable("the answer's result.caps allows something that is not sub, pub, prs or hst")
		}
	}
	return r.readPayload()
}

// readPayload sets payload from Data or B64Data. It returns a *failure when both are set or B64Data is not base64.
func (r *result) readPayload() error {
	switch {
	case isSet(r.Data) && isSet(r.B64Data):
		return unusable("the answer's result has data and b64data; send one of them")
	case isSet(r.Data):
		r.payload = Payload{Bytes: r.Data}
	case isSet(r.B64Data):
		r.payload.Binary = true
		if json.Unmarshal(r.B64Data, &r.payload.Bytes) != nil {
			return unusable("the answer's result.b64data is not base64")
		}
	}
	return nil
}
