package serverapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pathConnection is followed by a connection's id.
const pathConnection = "connections/"

type connectionsRequest struct {
	User    string `json:"user"`
	Channel string `json:"channel"`
	Limit   int    `json:"limit"`
	// Expression would list fewer.
	Expression string `json:"expression"`
}

type connectionsResult struct {
	Connections []Connection `json:"connections"`
}

// connections lists a user's connections, or a channel's.
func (a *API) connections(ctx context.Context, r *connectionsRequest) (any, error) {
	if err := a.checkConnections(r); err != nil {
		return nil, err
	}
	q := ConnectionQuery{User: r.User, Channel: r.Channel, Limit: r.Limit}
	if q.Limit == 0 {
		q.Limit = DefaultConnections
	}
	list, err := a.options.Fleet.Connections(ctx, q)
	if err != nil {
		return nil, err
	}
	// Lists are lists, and never null.
	list = append([]Connection{}, list...)
	for i := range list {
		list[i] = list[i].listed()
	}
	return connectionsResult{Connections: list}, nil
}

func (a *API) checkConnections(r *connectionsRequest) error {
	switch {
	case r.Expression != "":
		return unavailable("expression", "is not supported; give user or channel")
	case (r.User == "") == (r.Channel == ""):
		return wrong("user", "give either user or channel")
	case r.Limit < 0:
		return wrong("limit", "%d is less than 0", r.Limit)
	case r.Limit > MaxConnections:
		return tooMuch("limit", "%d is more than %d", r.Limit, MaxConnections)
	case r.Channel != "":
		return a.checkChannel(r.Channel)
	}
	return nil
}

func (c Connection) listed() Connection {
	c.Channels = append([]string{}, c.Channels...)
	return c
}

// connectionRoute is what can be done to one connection: look, send, close.
func (a *API) connectionRoute(r *http.Request, id string) route {
	to := route{name: methodUnknown, allow: r.Method, limit: a.options.singleLimit()}
	if id == "" || strings.Contains(id, "/") {
		return to
	}
	one := func(serve method) method {
		return func(ctx context.Context, body []byte) (any, error) {
			result, err := serve(ctx, body)
			if errors.Is(err, ErrUnknownConnection) {
				return nil, &fault{Code: codeNotFound, Message: ErrUnknownConnection.Error(), status: http.StatusNotFound}
			}
			return result, err
		}
	}
	switch r.Method {
	case http.MethodGet:
		to.name, to.serve = "connection", one(func(ctx context.Context, _ []byte) (any, error) { return a.inspect(ctx, id) })
	case http.MethodPost:
		to.name, to.serve = "connection_send", one(reading(func(ctx context.Context, c *content) (any, error) { return a.sendTo(ctx, id, c) }))
	case http.MethodDelete:
		to.name, to.serve = "connection_close", one(func(ctx context.Context, _ []byte) (any, error) { return a.closeOne(ctx, id, r.URL.Query()) })
	default:
		to.serve, to.allow = one(nil), "GET, POST, DELETE"
	}
	return to
}

func (a *API) inspect(ctx context.Context, id string) (any, error) {
	c, err := a.options.Fleet.Connection(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.listed(), nil
}

func (a *API) sendTo(ctx context.Context, id string, c *content) (any, error) {
	data, binary, err := c.message(a.options.MaxMessageBytes)
	if err != nil {
		return nil, err
	}
	reached, err := a.options.Fleet.Send(ctx, Target{Client: id}, data, binary)
	if err == nil && reached == 0 {
		err = ErrUnknownConnection
	}
	return sendResult{Reached: reached}, err
}

func (a *API) closeOne(ctx context.Context, id string, query url.Values) (any, error) {
	code := 0
	if text := query.Get("code"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, unreadable("code: want a whole number")
		}
		code = n
	}
	d, err := goodbye("code", code, "reason", query.Get("reason"))
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.options.Fleet.Disconnect(ctx, Target{Client: id}, d, DisconnectOptions{})
}
