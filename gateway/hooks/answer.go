package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
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
	// Subs are more such channels by their names, with what belongs to each.
	Subs map[string]Sub
	// Meta is a JSON object that only backends see, or empty.
	Meta json.RawMessage
	// Caps are the capabilities of the client, for channels whose rules require one.
	Caps []Cap
}

// Sub is a channel that a client is subscribed to at once.
type Sub struct {
	// Info is JSON that other clients see in the presence of this channel, or empty.
	Info json.RawMessage
	// Data is sent to the client when the subscription begins.
	Data Payload
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

// PublishResult says how a client's message is published.
type PublishResult struct {
	// Data replaces the client's, unless it has no bytes.
	Data Payload
	// SkipHistory means that the message is not added to the channel's stream.
	SkipHistory bool
}

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
	// Meta replaces that of ConnectResult, unless it is empty. Subscriptions have none.
	Meta json.RawMessage
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
	content
	User        string              `json:"user"`
	ExpireAt    int64               `json:"expire_at"`
	Expired     bool                `json:"expired"`
	SkipHistory bool                `json:"skip_history"`
	Channels    []string            `json:"channels"`
	Subs        map[string]*content `json:"subs"`
	Caps        []Cap               `json:"caps"`
	Meta        json.RawMessage     `json:"meta"`

	// unknown are the names of members that no hook knows, sorted.
	unknown []string
}

// content is what clients see.
type content struct {
	Info    json.RawMessage `json:"info"`
	B64Info json.RawMessage `json:"b64info"`
	Data    json.RawMessage `json:"data"`
	B64Data json.RawMessage `json:"b64data"`

	// payload is the decoded Data or B64Data. The JSON of B64Info is decoded to Info.
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
	strict := json.NewDecoder(bytes.NewReader(e.Result))
	strict.DisallowUnknownFields()
	if strict.Decode(r) != nil {
		*r = result{}
		if err := json.Unmarshal(e.Result, r); err != nil {
			return nil, unusable("the answer's result cannot be used: %s", describeError(err))
		}
		r.unknown = unknownMembers(e.Result)
	}
	return r, r.check()
}

// unknownMembers returns the names of the members of a result that no hook knows, sorted. Those in subs have "subs." in
// front.
func unknownMembers(answer json.RawMessage) (unknown []string) {
	var members map[string]json.RawMessage
	var nested struct {
		Subs map[string]map[string]json.RawMessage `json:"subs"`
	}
	// The answer has been decoded before. What is in caps is not looked at.
	if json.Unmarshal(answer, &members) != nil || json.Unmarshal(answer, &nested) != nil {
		return nil
	}
	unknown = othersThan(reflect.TypeFor[result](), members, "")
	for _, sub := range nested.Subs {
		unknown = append(unknown, othersThan(reflect.TypeFor[content](), sub, "subs.")...)
	}
	slices.Sort(unknown)
	return slices.Compact(unknown)
}

// othersThan returns the names of members that a struct does not have, each behind a prefix. encoding/json takes a name
// in any case.
func othersThan(structure reflect.Type, members map[string]json.RawMessage, prefix string) (others []string) {
	for name := range members {
		known := func(f reflect.StructField) bool { return strings.EqualFold(f.Tag.Get("json"), name) }
		if !slices.ContainsFunc(reflect.VisibleFields(structure), known) {
			others = append(others, prefix+name)
		}
	}
	return others
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
	switch {
	case r.ExpireAt < 0:
		return unusable("the answer's result.expire_at is negative")
	case !isSet(r.Meta):
		r.Meta = nil
	case r.Meta[0] != '{':
		return unusable("the answer's result.meta is no JSON object")
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
	for channel, sub := range r.Subs {
		if sub == nil {
			r.Subs[channel] = &content{}
		} else if err := sub.read("one of result.subs"); err != nil {
			return err
		}
	}
	return r.read("result")
}

// read sets payload and Info. It returns a *failure when both forms of one are set, when something is not base64, and
// when B64Info holds no JSON. where names the content in the failure.
func (c *content) read(where string) error {
	switch {
	case isSet(c.Data) && isSet(c.B64Data):
		return unusable("the answer's %s has data and b64data; send one of them", where)
	case isSet(c.Data):
		c.payload = Payload{Bytes: c.Data}
	case isSet(c.B64Data):
		c.payload.Binary = true
		if json.Unmarshal(c.B64Data, &c.payload.Bytes) != nil {
			return unusable("the answer's %s has a b64data that is not base64", where)
		}
	}
	switch {
	case isSet(c.Info) && isSet(c.B64Info):
		return unusable("the answer's %s has info and b64info; send one of them", where)
	case isSet(c.B64Info):
		var info []byte
		if json.Unmarshal(c.B64Info, &info) != nil || !utf8.Valid(info) || !json.Valid(info) {
			return unusable("the answer's %s has a b64info that is not JSON in base64", where)
		}
		c.Info = info
	case !isSet(c.Info):
		c.Info = nil
	}
	return nil
}

// subs returns Subs as clients see them.
func (r *result) subs() map[string]Sub {
	if len(r.Subs) == 0 {
		return nil
	}
	subs := make(map[string]Sub, len(r.Subs))
	for channel, c := range r.Subs {
		subs[channel] = Sub{Info: c.Info, Data: c.payload}
	}
	return subs
}
