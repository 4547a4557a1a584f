package hooks

import (
	"bytes"
	"encoding/json"
	"net/http"
	"unicode/utf8"
)

// Payload is what clients and backends send each other: JSON, or any bytes.
type Payload struct {
	Bytes []byte
	// Binary travels in base64, as b64data. So do bytes that are no JSON, whatever is said here.
	Binary bool
}

// asJSON says whether a payload can be part of a request as it is.
func (p Payload) asJSON() bool { return !p.Binary && utf8.Valid(p.Bytes) && json.Valid(p.Bytes) }

// Client is whom a question is about.
type Client struct {
	ID string
	// User is empty without a token that names one, and without a connect hook's answer that does.
	User string
	// Protocol is json, protobuf or plain.
	Protocol string
}

// ConnectRequest is a client that wants to connect, and what it says of itself.
type ConnectRequest struct {
	Client
	Name, Version string
	Data          Payload
	// Channels are those that it wants to be subscribed to.
	Channels []string
	// Header is the handshake's. Only what Options.ForwardHeaders names is forwarded.
	Header http.Header
}

// SubscribeRequest is a client that wants to subscribe.
type SubscribeRequest struct {
	Client
	Channel string
	Data    Payload
}

// PublishRequest is a client that wants to publish.
type PublishRequest struct {
	Client
	Channel string
	Data    Payload
}

// RPCRequest is a client's call.
type RPCRequest struct {
	Client
	Method string
	Data   Payload
}

// asked is what all requests have in common.
type asked struct {
	Client    string          `json:"client"`
	Transport string          `json:"transport"`
	Protocol  string          `json:"protocol"`
	Encoding  string          `json:"encoding"`
	User      string          `json:"user,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	B64Data   []byte          `json:"b64data,omitempty"`
}

func (c Client) asks(data Payload) asked {
	a := asked{Client: c.ID, Transport: "websocket", Protocol: c.Protocol, Encoding: "json", User: c.User}
	switch {
	case len(data.Bytes) == 0:
	case data.asJSON():
		a.Data = data.Bytes
	default:
		a.Encoding, a.B64Data = "binary", data.Bytes
	}
	return a
}

type connectBody struct {
	asked
	Name     string            `json:"name,omitempty"`
	Version  string            `json:"version,omitempty"`
	Channels []string          `json:"channels,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
}

type channelBody struct {
	asked
	Channel string `json:"channel"`
}

type rpcBody struct {
	asked
	Method string `json:"method"`
}

func (r ConnectRequest) body(headers map[string]string) connectBody {
	return connectBody{asked: r.asks(r.Data), Name: r.Name, Version: r.Version, Channels: r.Channels, Headers: headers}
}

func (r SubscribeRequest) body() channelBody {
	return channelBody{asked: r.asks(r.Data), Channel: r.Channel}
}

func (r PublishRequest) body() channelBody {
	return channelBody{asked: r.asks(r.Data), Channel: r.Channel}
}

func (r RPCRequest) body() rpcBody { return rpcBody{asked: r.asks(r.Data), Method: r.Method} }

// encode leaves <, > and & in clients' JSON as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
