package hooks

import (
	"bytes"
	"encoding/json"
	"net/http"
	"unicode/utf8"
)

// Payload is a message between clients and backends: JSON, or any bytes.
type Payload struct {
	Bytes []byte
	// Binary means that Bytes travel as b64data, in base64. Bytes that are not JSON do so in any case.
	Binary bool
}

// isJSON reports whether the payload can be embedded in a request as it is.
func (p Payload) isJSON() bool { return !p.Binary && utf8.Valid(p.Bytes) && json.Valid(p.Bytes) }

// Client is the client that a request is about.
type Client struct {
	ID string
	// User is empty unless the client's token or the connect callback named one.
	User string
	// Protocol is json, protobuf or plain.
	Protocol string
	// Meta is a JSON object that the client's token or the connect callback has given, for backends only, or empty.
	Meta json.RawMessage
}

// ConnectRequest is the request of the connect callback.
type ConnectRequest struct {
	Client
	// Name and Version are those that the client sent of its library.
	Name, Version string
	Data          Payload
	// Channels are the channels that the client wants to subscribe to.
	Channels []string
	// Header is the header of the handshake. Only the names in Options.ForwardHeaders are forwarded.
	Header http.Header
}

// SubscribeRequest is the request of the subscribe callback.
type SubscribeRequest struct {
	Client
	Channel string
	Data    Payload
}

// PublishRequest is the request of the publish callback.
type PublishRequest struct {
	Client
	Channel string
	Data    Payload
}

// RPCRequest is the request of the rpc callback.
type RPCRequest struct {
	Client
	Method string
	Data   Payload
}

// RefreshRequest is the request of the refresh callback.
type RefreshRequest struct{ Client }

// SubRefreshRequest is the request of the callback that refreshes a subscription.
type SubRefreshRequest struct {
	Client
	Channel string
}

// commonBody has the members that all requests have.
type commonBody struct {
	Client    string          `json:"client"`
	Transport string          `json:"transport"`
	Protocol  string          `json:"protocol"`
	Encoding  string          `json:"encoding"`
	User      string          `json:"user,omitempty"`
	Meta      json.RawMessage `json:"meta,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	B64Data   []byte          `json:"b64data,omitempty"`
}

// common returns the members that all requests have.
func (c Client) common(data Payload) commonBody {
	b := commonBody{
		Client:    c.ID,
		Transport: "websocket",
		Protocol:  c.Protocol,
		Encoding:  "json",
		User:      c.User,
		Meta:      c.Meta,
	}
	switch {
	case len(data.Bytes) == 0:
	case data.isJSON():
		b.Data = data.Bytes
	default:
		b.Encoding, b.B64Data = "binary", data.Bytes
	}
	return b
}

type connectBody struct {
	commonBody
	Name     string            `json:"name,omitempty"`
	Version  string            `json:"version,omitempty"`
	Channels []string          `json:"channels,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
}

type channelBody struct {
	commonBody
	Channel string `json:"channel"`
}

type rpcBody struct {
	commonBody
	Method string `json:"method"`
}

func (r ConnectRequest) body(headers map[string]string) connectBody {
	return connectBody{
		commonBody: r.common(r.Data),
		Name:       r.Name,
		Version:    r.Version,
		Channels:   r.Channels,
		Headers:    headers,
	}
}

func (r SubscribeRequest) body() channelBody {
	return channelBody{commonBody: r.common(r.Data), Channel: r.Channel}
}

func (r PublishRequest) body() channelBody {
	return channelBody{commonBody: r.common(r.Data), Channel: r.Channel}
}

func (r RefreshRequest) body() commonBody { return r.common(Payload{}) }

func (r SubRefreshRequest) body() channelBody {
	return channelBody{commonBody: r.common(Payload{}), Channel: r.Channel}
}

func (r RPCRequest) body() rpcBody { return rpcBody{commonBody: r.common(r.Data), Method: r.Method} }

// encode returns v as JSON and leaves <, > and & in clients' JSON as they are. It returns an error when v cannot be
// encoded.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
