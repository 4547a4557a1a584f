// Package wsclient is a small WebSocket client for hack/demo and the tests under test/. It speaks wsfleet's plain
// protocol and the parts of the Centrifuge protocol that these need. It uses another WebSocket library than the
// gateway, so that a mistake in one does not hide behind the same mistake in the other.
package wsclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Protocol names the protocol of a connection.
type Protocol string

// The protocols of the gateway that this client knows.
const (
	Plain      Protocol = "plain"
	Centrifuge Protocol = "centrifuge"
)

// Closed is the error of a connection that has ended.
type Closed struct {
	// Code is the code of the close frame, or NoCloseFrame when the connection ended without one.
	Code   int
	Reason string
	cause  error
}

// NoCloseFrame is the code of a connection that ended with a TCP reset or an end of stream only.
const NoCloseFrame = -1

func (c *Closed) Error() string {
	if c.Code == NoCloseFrame {
		return fmt.Sprintf("connection cut without a close frame: %v", c.cause)
	}
	return fmt.Sprintf("connection closed: %d %s", c.Code, c.Reason)
}

func (c *Closed) Unwrap() error { return c.cause }

// Reconnect reports whether the client should reconnect: after 1001 and 1012 to 1014 of the IANA registry, 3000-3499
// and 4000-4499 of the Centrifuge protocol, and after a connection that ended without a close frame.
func (c *Closed) Reconnect() bool {
	switch {
	case c.Code == NoCloseFrame, c.Code == 1001, c.Code >= 1012 && c.Code <= 1014:
		return true
	case c.Code >= 3000 && c.Code < 3500, c.Code >= 4000 && c.Code < 4500:
		return true
	}
	return false
}

// Refused is the error of a handshake that the gateway answered with another status than 101.
type Refused struct {
	Status     int
	RetryAfter string
	cause      error
}

func (r *Refused) Error() string {
	return fmt.Sprintf("handshake refused with %d: %v", r.Status, r.cause)
}

func (r *Refused) Unwrap() error { return r.cause }

// Conn is one subscribed connection. Only one goroutine may call Receive.
type Conn struct {
	ws       *websocket.Conn
	protocol Protocol
	channel  string
	node     string
	pending  [][]byte
	commands uint32
}

// Dial connects to the gateway at address ("host:port") and subscribes to channel. Every message that is published to
// the channel after Dial has returned arrives. Dial returns a *Refused when the gateway answers the handshake with
// another status than 101, and an error when it cannot connect or subscribe.
func Dial(ctx context.Context, protocol Protocol, address, channel string, header http.Header) (*Conn, error) {
	return DialTLS(ctx, protocol, address, channel, header, nil)
}

// DialTLS connects over TLS with the configuration, which it does not change, or without TLS when config is nil. It
// returns the same errors as Dial, and one when the certificate is not trusted.
func DialTLS(
	ctx context.Context, protocol Protocol, address, channel string, header http.Header, config *tls.Config,
) (*Conn, error) {
	target := url.URL{Scheme: "ws", Host: address, Path: contract.PathPlain}
	if protocol == Centrifuge {
		target.Path = contract.PathCentrifuge
	} else {
		target.RawQuery = url.Values{"channel": {channel}}.Encode()
	}
	options := &websocket.DialOptions{HTTPHeader: header}
	if config != nil {
		target.Scheme = "wss"
		options.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	}
	ws, response, err := websocket.Dial(ctx, target.String(), options) //nolint:bodyclose // Dial wants no close
	if err != nil {
		if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
			return nil, &Refused{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After"), cause: err}
		}
		return nil, err
	}
	c := &Conn{ws: ws, protocol: protocol, channel: channel, node: response.Header.Get(contract.HeaderNode)}
	if protocol == Centrifuge {
		if err := c.connectAndSubscribe(ctx); err != nil {
			_ = ws.CloseNow()
			return nil, err
		}
	}
	return c, nil
}

// Node returns the id of the gateway that holds the connection.
func (c *Conn) Node() string { return c.node }

// Publish sends text to the channel. Every subscriber receives it, this connection included. Publish returns an error
// when the connection has ended; Receive returns the refusal of a publication.
func (c *Conn) Publish(ctx context.Context, text string) error {
	if c.protocol == Plain {
		return c.ws.Write(ctx, websocket.MessageText, []byte(text))
	}
	return c.command(ctx, map[string]any{"publish": map[string]any{"channel": c.channel, "data": text}})
}

// Receive returns the next publication. It returns a *Closed when the connection has ended, the error of ctx when ctx
// has ended, and otherwise an error with the gateway's reply to a Publish that it refused.
func (c *Conn) Receive(ctx context.Context) (string, error) {
	for {
		if c.protocol == Plain {
			_, frame, err := c.ws.Read(ctx)
			if err != nil {
				return "", c.endError(ctx, err)
			}
			return string(frame), nil
		}
		reply, err := c.reply(ctx)
		if err != nil {
			return "", err
		}
		if err := reply.failure(); err != nil {
			return "", err
		}
		if reply.Push.Pub == nil {
			continue
		}
		var text string
		if err := json.Unmarshal(reply.Push.Pub.Data, &text); err != nil {
			text = string(reply.Push.Pub.Data)
		}
		return text, nil
	}
}

// Close sends a close frame with code 1000 and waits for the gateway's. It returns an error when that does not arrive.
func (c *Conn) Close() error { return c.ws.Close(websocket.StatusNormalClosure, "") }

// CloseNow closes the TCP connection without a close frame, as a lost network does. It returns an error when the
// connection is closed already.
func (c *Conn) CloseNow() error { return c.ws.CloseNow() }

type reply struct {
	ID    uint32 `json:"id"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Push struct {
		Pub *struct {
			Data json.RawMessage `json:"data"`
		} `json:"pub"`
	} `json:"push"`
}

// failure returns the error that the gateway answered a command with.
func (r reply) failure() error {
	if r.Error == nil {
		return nil
	}
	return fmt.Errorf("gateway answered %d: %s", r.Error.Code, r.Error.Message)
}

func (c *Conn) connectAndSubscribe(ctx context.Context) error {
	for _, command := range []map[string]any{
		{"connect": map[string]any{}},
		{"subscribe": map[string]any{"channel": c.channel}},
	} {
		if err := c.command(ctx, command); err != nil {
			return err
		}
		for id := c.commands; ; {
			r, err := c.reply(ctx)
			if err != nil {
				return err
			}
			if r.ID != id {
				continue
			}
			if err := r.failure(); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

func (c *Conn) command(ctx context.Context, command map[string]any) error {
	c.commands++
	command["id"] = c.commands
	frame, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return c.ws.Write(ctx, websocket.MessageText, frame)
}

// reply returns the next reply or push. A frame may hold several, one per line. An empty object is a ping of the
// server; reply answers it with the same.
func (c *Conn) reply(ctx context.Context) (reply, error) {
	for {
		for len(c.pending) == 0 {
			_, frame, err := c.ws.Read(ctx)
			if err != nil {
				return reply{}, c.endError(ctx, err)
			}
			c.pending = bytes.Split(bytes.TrimSpace(frame), []byte("\n"))
		}
		line := c.pending[0]
		c.pending = c.pending[1:]
		if string(line) == "{}" {
			if err := c.ws.Write(ctx, websocket.MessageText, line); err != nil {
				return reply{}, c.endError(ctx, err)
			}
			continue
		}
		var r reply
		if err := json.Unmarshal(line, &r); err != nil {
			return reply{}, fmt.Errorf("gateway sent what is no reply: %w", err)
		}
		return r, nil
	}
}

func (c *Conn) endError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return &Closed{Code: int(closed.Code), Reason: closed.Reason, cause: err}
	}
	return &Closed{Code: NoCloseFrame, Reason: strings.TrimSpace(err.Error()), cause: err}
}

// Latency publishes text on one connection and returns the time until the other one has received it. It skips other
// publications. It returns an error when publishing or receiving fails.
func Latency(ctx context.Context, from, to *Conn, text string) (time.Duration, error) {
	started := time.Now()
	if err := from.Publish(ctx, text); err != nil {
		return 0, err
	}
	for {
		got, err := to.Receive(ctx)
		if err != nil {
			return 0, err
		}
		if got == text {
			return time.Since(started), nil
		}
	}
}
