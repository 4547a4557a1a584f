package serverapi

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
)

// maxSeconds is the end of the year 9999 in Unix seconds. A caller that sends more has sent milliseconds.
const maxSeconds = 253402300799

// The content of the close frame unless the request sets it.
const (
	defaultDisconnectCode   = 3503
	defaultDisconnectReason = "force disconnect"
)

// targetRequest has the fields that select connections.
type targetRequest struct {
	User   string `json:"user"`
	Client string `json:"client"`
	// Session and LabelFilter would select fewer connections. They are refused, because ignoring them would reach too
	// many.
	Session     string          `json:"session"`
	LabelFilter json.RawMessage `json:"label_filter"`
}

// target returns the selected connections. It returns an *apiError when none are selected.
func (t *targetRequest) target() (Target, error) {
	switch {
	case t.Session != "":
		return Target{}, notSupported("session", "is not supported; name one connection with client")
	case t.LabelFilter != nil && string(t.LabelFilter) != "null":
		return Target{}, notSupported("label_filter", "is not supported; name one connection with client")
	case t.User == "" && t.Client == "":
		return Target{}, invalidField("user", "is missing: give user or client")
	}
	return Target{User: t.User, Client: t.Client}, nil
}

// position is a position in a stream, whose epoch may be missing. Some libraries send zeros for none.
type position struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
}

// read returns the position, and nil for none.
func (p *position) read() *broker.Position {
	if p == nil || *p == (position{}) {
		return nil
	}
	return &broker.Position{Offset: p.Offset, Epoch: p.Epoch}
}

// readTime decodes a time in Unix seconds. 0 is the zero time. It returns an *apiError.
func readTime(field string, seconds int64) (time.Time, error) {
	switch {
	case seconds < 0 || seconds > maxSeconds:
		return time.Time{}, invalidField(field, "is no time in seconds since 1970")
	case seconds == 0:
		return time.Time{}, nil
	}
	return time.Unix(seconds, 0), nil
}

// subscribeRequest is the request of subscribe.
type subscribeRequest struct {
	targetRequest
	Channel      string          `json:"channel"`
	Info         json.RawMessage `json:"info"`
	ExpireAt     int64           `json:"expire_at"`
	RecoverSince *position       `json:"recover_since"`
	payload
}

// subscribe subscribes connections to a channel. It returns an *apiError or the Fleet's error.
func (a *API) subscribe(ctx context.Context, r *subscribeRequest) (any, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	o, err := r.options(a.options.MaxMessageBytes)
	if err == nil {
		err = a.checkChannel(r.Channel)
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.options.Fleet.Subscribe(ctx, t, r.Channel, o)
}

// options returns the options of the subscription, whose data has at most maxData bytes. It returns an *apiError.
func (r *subscribeRequest) options(maxData int) (o SubscribeOptions, err error) {
	if o.ExpireAt, err = readTime("expire_at", r.ExpireAt); err != nil {
		return o, err
	}
	o.RecoverSince = r.RecoverSince.read()
	if o.Info, err = readInfo(r.Info); err != nil || r.empty() {
		return o, err
	}
	o.Data, o.Binary, err = r.message(maxData)
	return o, err
}

// readInfo returns what others see of a client, and nil for none. It returns an *apiError.
func readInfo(info json.RawMessage) ([]byte, error) {
	switch {
	case len(info) > auth.MaxInfo:
		return nil, limitExceeded("info", "at most %d bytes are shown to others", auth.MaxInfo)
	case string(info) == "null":
		return nil, nil
	}
	return info, nil
}

// unsubscribeRequest is the request of unsubscribe.
type unsubscribeRequest struct {
	targetRequest
	Channel string `json:"channel"`
}

// unsubscribe ends subscriptions. It succeeds for a connection that does not exist. It returns an *apiError or the
// Fleet's error.
func (a *API) unsubscribe(ctx context.Context, r *unsubscribeRequest) (any, error) {
	t, err := r.target()
	if err == nil {
		err = a.checkChannel(r.Channel)
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, ignoreUnknown(a.options.Fleet.Unsubscribe(ctx, t, r.Channel))
}

// ignoreUnknown returns nil for ErrUnknownConnection, and err otherwise. It is for methods that take something away
// from a connection.
func ignoreUnknown(err error) error {
	if errors.Is(err, ErrUnknownConnection) {
		return nil
	}
	return err
}

// disconnectRequest is the request of disconnect.
type disconnectRequest struct {
	targetRequest
	Disconnect struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	} `json:"disconnect"`
	Whitelist []string `json:"whitelist"`
	Revoke    bool     `json:"revoke"`
}

// disconnect closes connections. It succeeds for a connection that does not exist. It returns an *apiError or the
// Fleet's error.
func (a *API) disconnect(ctx context.Context, r *disconnectRequest) (any, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	if r.Revoke && r.User == "" {
		return nil, invalidField("revoke", "needs user: tokens are a user's")
	}
	d, err := readDisconnect("disconnect.code", r.Disconnect.Code, "disconnect.reason", r.Disconnect.Reason)
	if err != nil {
		return nil, err
	}
	o := DisconnectOptions{Whitelist: r.Whitelist, Revoke: r.Revoke}
	return struct{}{}, ignoreUnknown(a.options.Fleet.Disconnect(ctx, t, d, o))
}

// readDisconnect checks the content of the close frame and sets its defaults. It returns an *apiError.
func readDisconnect(codeField string, code int, reasonField, reason string) (Disconnect, error) {
	d := Disconnect{Code: code, Reason: reason}
	if code == 0 {
		d.Code = defaultDisconnectCode
		if reason == "" {
			d.Reason = defaultDisconnectReason
		}
	}
	switch {
	case d.Code < MinDisconnectCode || d.Code > MaxDisconnectCode:
		return d, invalidField(codeField, "%d is not from %d to %d", code, MinDisconnectCode, MaxDisconnectCode)
	case len(reason) > MaxReasonBytes:
		return d, limitExceeded(reasonField, "%d bytes are more than the %d that a close frame has room for", len(reason),
			MaxReasonBytes)
	}
	return d, nil
}

// refreshRequest is the request of refresh.
type refreshRequest struct {
	targetRequest
	Expired  bool            `json:"expired"`
	ExpireAt int64           `json:"expire_at"`
	Info     json.RawMessage `json:"info"`
}

// refresh changes when connections expire, and what others see of them. It returns an *apiError or the Fleet's error.
func (a *API) refresh(ctx context.Context, r *refreshRequest) (any, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	until, err := readTime("expire_at", r.ExpireAt)
	if err != nil {
		return nil, err
	}
	info, err := readInfo(r.Info)
	if err != nil {
		return nil, err
	}
	o := RefreshOptions{ExpireAt: until, Expired: r.Expired, Info: info}
	return struct{}{}, a.options.Fleet.Refresh(ctx, t, o)
}

// sendRequest is the request of send.
type sendRequest struct {
	targetRequest
	payload
}

// sendResult is the result of send.
type sendResult struct {
	// Reached is the number of connections that got the message.
	Reached int `json:"reached"`
}

// send sends a message to connections outside of channels. It succeeds for a connection that does not exist. It returns
// an *apiError or the Fleet's error.
func (a *API) send(ctx context.Context, r *sendRequest) (any, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	data, binary, err := r.message(a.options.MaxMessageBytes)
	if err != nil {
		return nil, err
	}
	reached, err := a.options.Fleet.Send(ctx, t, data, binary)
	return sendResult{Reached: reached}, ignoreUnknown(err)
}
