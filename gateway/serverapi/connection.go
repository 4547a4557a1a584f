package serverapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pathConnection is the path of a single connection. Its id follows.
const pathConnection = "connections/"

// connectionsRequest is the request of connections.
type connectionsRequest struct {
	User    string `json:"user"`
	Channel string `json:"channel"`
	Limit   int    `json:"limit"`
	// Expression would select fewer connections. It is refused.
	Expression string `json:"expression"`
}

// connectionsResult is the result of connections.
type connectionsResult struct {
	Connections []Connection `json:"connections"`
}

// connections lists the connections of a user or of a channel. It returns an *apiError or the Fleet's error.
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
	// Lists are never null in JSON.
	list = append([]Connection{}, list...)
	for i := range list {
		list[i] = list[i].withChannels()
	}
	return connectionsResult{Connections: list}, nil
}

// checkConnections returns an *apiError when the request is invalid.
func (a *API) checkConnections(r *connectionsRequest) error {
	switch {
	case r.Expression != "":
		return notSupported("expression", "is not supported; give user or channel")
	case (r.User == "") == (r.Channel == ""):
		return invalidField("user", "give either user or channel")
	case r.Limit < 0:
		return invalidField("limit", "%d is less than 0", r.Limit)
	case r.Limit > MaxConnections:
		return limitExceeded("limit", "%d is more than %d", r.Limit, MaxConnections)
	case r.Channel != "":
		return a.checkChannel(r.Channel)
	}
	return nil
}

// withChannels returns c with a list of channels that is not null in JSON.
func (c Connection) withChannels() Connection {
	c.Channels = append([]string{}, c.Channels...)
	return c
}

// connectionRoute returns the route of one connection: GET describes it, POST sends it a message, DELETE closes it.
func (a *API) connectionRoute(r *http.Request, id string) route {
	to := route{name: methodUnknown, allow: r.Method, limit: a.options.singleLimit()}
	if id == "" || strings.Contains(id, "/") {
		return to
	}
	switch r.Method {
	case http.MethodGet:
		to.name = "connection"
		to.serve = func(ctx context.Context, _ []byte) (any, error) { return a.getConnection(ctx, id) }
	case http.MethodPost:
		to.name = "connection_send"
		to.serve = withRequest(func(ctx context.Context, p *payload) (any, error) {
			return a.sendToConnection(ctx, id, p)
		})
	case http.MethodDelete:
		to.name = "connection_close"
		to.serve = func(ctx context.Context, _ []byte) (any, error) {
			return a.closeConnection(ctx, id, r.URL.Query())
		}
	default:
		to.allow = "GET, POST, DELETE"
	}
	to.serve = withNotFound(to.serve)
	return to
}

// withNotFound returns a method that calls serve and answers ErrUnknownConnection with status 404.
func withNotFound(serve method) method {
	return func(ctx context.Context, body []byte) (any, error) {
		result, err := serve(ctx, body)
		if errors.Is(err, ErrUnknownConnection) {
			return nil, &apiError{Code: codeNotFound, Message: ErrUnknownConnection.Error(), status: http.StatusNotFound}
		}
		return result, err
	}
}

// getConnection describes a connection. It returns the Fleet's error.
func (a *API) getConnection(ctx context.Context, id string) (any, error) {
	c, err := a.options.Fleet.Connection(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.withChannels(), nil
}

// sendToConnection sends a message to one connection. It returns an *apiError, the Fleet's error, or
// ErrUnknownConnection when the connection did not get the message.
func (a *API) sendToConnection(ctx context.Context, id string, c *payload) (any, error) {
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

// closeConnection closes a connection with the code and reason of the query. It returns an *apiError or the Fleet's
// error.
func (a *API) closeConnection(ctx context.Context, id string, query url.Values) (any, error) {
	code := 0
	if text := query.Get("code"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, malformed("code: want a whole number")
		}
		code = n
	}
	d, err := readDisconnect("code", code, "reason", query.Get("reason"))
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.options.Fleet.Disconnect(ctx, Target{Client: id}, d, DisconnectOptions{})
}
