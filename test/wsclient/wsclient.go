// Package wsclient is a small WebSocket client for the demo and the fleet tests. It speaks wsfleet's
// plain protocol and as much of the Centrifuge protocol as these need, on another WebSocket library
// than the gateway uses, so that a mistake in one does not hide behind the same mistake in the other.
package wsclient

import (
	"bytes"
	"context"
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

// Protocol is what a client speaks on its connection.
type Protocol string

// The protocols of the gateway that this client knows.
const (
	Plain      Protocol = "plain"
	Centrifuge Protocol = "centrifuge"
)

// Closed is how a connection ended.
type Closed struct {
	// Code is the close frame's; NoCloseFrame when the connection ended without one.
	Code   int
	Reason string
	cause  error
}

// NoCloseFrame marks a connection that was cut: a TCP reset or a bare end of stream.
const NoCloseFrame = -1

func (c *Closed) Error() string {
	if c.Code == NoCloseFrame {
		return fmt.Sprintf("connection cut without a close frame: %v", c.cause)
	}
	return fmt.Sprintf("connection closed: %d %s", c.Code, c.Reason)
}

func (c *Closed) Unwrap() error { return c.cause }

// Reconnect says whether the close code tells a client to come back: 1001 and 1012 to 1014 of the
// IANA registry, 3000-3499 and 4000-4499 of the Centrifuge protocol. A cut connection is retried too.
func (c *Closed) Reconnect() bool {
	switch {
	case c.Code == NoCloseFrame, c.Code == 1001, c.Code >= 1012 && c.Code <= 1014:
		return true
	case c.Code >= 3000 && c.Code < 3500, c.Code >= 4000 && c.Code < 4500:
		return true
	}
	return false
}

// Refused is a handshake that the gateway answered with something else than 101.
type Refused struct {
	Status     int
	RetryAfter string
	cause      error
}

func (r *Refused) Error() string {
	return fmt.Sprintf("handshake refused with %d: %v", r.Status, r.cause)
}

func (r *Refused) Unwrap() error { return r.cause }

// Conn is one subscribed connection. Receive must be called by one goroutine only.
type Conn struct {
	ws       *websocket.Conn
	protocol Protocol
	channel  string
	node     string
	waiting  [][]byte
	commands uint32
}

// Dial connects to the gateway at address ("host:port") and subscribes to channel. When it returns,
// every message published to the channel from now on arrives.
func Dial(ctx context.Context, protocol Protocol, address, channel string, header http.Header) (*Conn, error) {
	target := url.URL{Scheme: "ws", Host: address, Path: contract.PathPlain}
	if protocol == Centrifuge {
		target.Path = contract.PathCentrifuge
	} else {
		target.RawQuery = url.Values{"channel": {channel}}.Encode()
	}
	ws, response, err := websocket.Dial(ctx, target.String(),
		&websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // Dial documents that its response needs no close
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

// Node is the gateway that holds the connection.
func (c *Conn) Node() string { return c.node }

// Publish sends text to the channel; it is delivered to every subscriber, this connection included.
func (c *Conn) Publish(ctx context.Context, text string) error {
	if c.protocol == Plain {
		return c.ws.Write(ctx, websocket.MessageText, []byte(text))
	}
	return c.command(ctx, map[string]any{"publish": map[string]any{"channel": c.channel, "data": text}})
}

// Receive returns the next publication. The error is a *Closed when the connection has ended, and
// otherwise the gateway's answer to a Publish that it refused.
func (c *Conn) Receive(ctx context.Context) (string, error) {
	for {
		if c.protocol == Plain {
			_, frame, err := c.ws.Read(ctx)
			if err != nil {
				return "", c.ended(ctx, err)
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

// Close says goodbye with 1000 and waits for the answer.
func (c *Conn) Close() error { return c.ws.Close(websocket.StatusNormalClosure, "") }

// CloseNow ends the connection without a word, as a lost network would.
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

// failure is what the gateway says went wrong with a command.
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

// reply returns the next reply or push; a frame may hold several, one a line. An empty one is the
// server's ping and is answered with the same.
func (c *Conn) reply(ctx context.Context) (reply, error) {
	for {
		for len(c.waiting) == 0 {
			_, frame, err := c.ws.Read(ctx)
			if err != nil {
				return reply{}, c.ended(ctx, err)
			}
			c.waiting = bytes.Split(bytes.TrimSpace(frame), []byte("\n"))
		}
		line := c.waiting[0]
		c.waiting = c.waiting[1:]
		if string(line) == "{}" {
			if err := c.ws.Write(ctx, websocket.MessageText, line); err != nil {
				return reply{}, c.ended(ctx, err)
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

func (c *Conn) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return &Closed{Code: int(closed.Code), Reason: closed.Reason, cause: err}
	}
	return &Closed{Code: NoCloseFrame, Reason: strings.TrimSpace(err.Error()), cause: err}
}

// Latency is how long text took from one connection to another: the publish is timed until the
// receiver has it. Publications of others in between are passed over.
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
