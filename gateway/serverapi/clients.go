package serverapi

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
)

// lastSecond is the end of the year 9999. What is later was meant as milliseconds.
const lastSecond = 253402300799

// The disconnect that clients get when the request does not say which.
const (
	defaultDisconnectCode   = 3503
	defaultDisconnectReason = "force disconnect"
)

// targetRequest is which connections a request means.
type targetRequest struct {
	User   string `json:"user"`
	Client string `json:"client"`
	// Session and LabelFilter would mean fewer connections.
	Session     string          `json:"session"`
	LabelFilter json.RawMessage `json:"label_filter"`
}

func (t *targetRequest) target() (Target, error) {
	switch {
	case t.Session != "":
		return Target{}, unavailable("session", "is not supported; name one connection with client")
	case t.LabelFilter != nil && string(t.LabelFilter) != "null":
		return Target{}, unavailable("label_filter", "is not supported; name one connection with client")
	case t.User == "" && t.Client == "":
		return Target{}, wrong("user", "is missing: give user or client")
	}
	return Target{User: t.User, Client: t.Client}, nil
}

// position is a place in a stream. Libraries send zeros for none.
type position struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
}

func (p *position) read(field string) (*broker.Position, error) {
	switch {
	case p == nil || *p == position{}:
		return nil, nil
	case p.Epoch == "":
		return nil, wrong(field+".epoch", "is missing: give the one that came with the offset")
	}
	return &broker.Position{Offset: p.Offset, Epoch: p.Epoch}, nil
}

// moment reads a time in seconds; 0 is none.
func moment(field string, seconds int64) (time.Time, error) {
	switch {
	case seconds < 0 || seconds > lastSecond:
		return time.Time{}, wrong(field, "is no time in seconds since 1970")
	case seconds == 0:
		return time.Time{}, nil
	}
	return time.Unix(seconds, 0), nil
}

type subscribeRequest struct {
	targetRequest
	Channel      string          `json:"channel"`
	Info         json.RawMessage `json:"info"`
	ExpireAt     int64           `json:"expire_at"`
	RecoverSince *position       `json:"recover_since"`
}

// subscribe makes connections subscribers of a channel.
func (a *API) subscribe(ctx context.Context, r *subscribeRequest) (any, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	o, err := r.options()
	if err == nil {
		err = a.checkChannel(r.Channel)
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.options.Fleet.Subscribe(ctx, t, r.Channel, o)
}

func (r *subscribeRequest) options() (SubscribeOptions, error) {
	until, err := moment("expire_at", r.ExpireAt)
	if err != nil {
		return SubscribeOptions{}, err
	}
	since, err := r.RecoverSince.read("recover_since")
	if err != nil {
		return SubscribeOptions{}, err
	}
	o := SubscribeOptions{ExpireAt: until, RecoverSince: since}
	if len(r.Info) > auth.MaxInfo {
		return o, tooMuch("info", "at most %d bytes are shown to others", auth.MaxInfo)
	}
	if string(r.Info) != "null" {
		o.Info = r.Info
	}
	return o, nil
}

type unsubscribeRequest struct {
	targetRequest
	Channel string `json:"channel"`
}

// unsubscribe ends subscriptions. Who is not there has none.
func (a *API) unsubscribe(ctx context.Context, r *unsubscribeRequest) (any, error) {
	t, err := r.target()
	if err == nil {
		err = a.checkChannel(r.Channel)
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, gone(a.options.Fleet.Unsubscribe(ctx, t, r.Channel))
}

// gone makes it a success that a connection which should lose something is not there.
func gone(err error) error {
	if errors.Is(err, ErrUnknownConnection) {
		return nil
	}
	return err
}

type disconnectRequest struct {
	targetRequest
	Disconnect struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	} `json:"disconnect"`
	Whitelist []string `json:"whitelist"`
	Revoke    bool     `json:"revoke"`
}

// disconnect closes connections. Who is not there is disconnected.
func (a *API) disconnect(ctx context.Context, r *disconnectRequest) (any, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	if r.Revoke && r.User == "" {
		return nil, wrong("revoke", "needs user: tokens are a user's")
	}
	d, err := goodbye("disconnect.code", r.Disconnect.Code, "disconnect.reason", r.Disconnect.Reason)
	if err != nil {
		return nil, err
	}
	o := DisconnectOptions{Whitelist: r.Whitelist, Revoke: r.Revoke}
	return struct{}{}, gone(a.options.Fleet.Disconnect(ctx, t, d, o))
}

// goodbye checks what clients will be told.
func goodbye(codeField string, code int, reasonField, reason string) (Disconnect, error) {
	d := Disconnect{Code: code, Reason: reason}
	if code == 0 {
		d.Code = defaultDisconnectCode
		if reason == "" {
			d.Reason = defaultDisconnectReason
		}
	}
	switch {
	case d.Code < MinDisconnectCode || d.Code > MaxDisconnectCode:
		return d, wrong(codeField, "%d is not from %d to %d", code, MinDisconnectCode, MaxDisconnectCode)
	case len(reason) > MaxReasonBytes:
		return d, tooMuch(reasonField, "%d bytes are more than the %d that a close frame has room for", len(reason), MaxReasonBytes)
	}
	return d, nil
}

type refreshRequest struct {
	targetRequest
	Expired  bool  `json:"expired"`
	ExpireAt int64 `json:"expire_at"`
}

// refresh changes when connections expire.
func (a *API) refresh(ctx context.Context, r *refreshRequest) (any, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	until, err := moment("expire_at", r.ExpireAt)
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.options.Fleet.Refresh(ctx, t, RefreshOptions{ExpireAt: until, Expired: r.Expired})
}

type sendRequest struct {
	targetRequest
	content
}

type sendResult struct {
	Reached int `json:"reached"`
}

// send gives a message to connections, in no channel. Who is not there is not reached.
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
	return sendResult{Reached: reached}, gone(err)
}
