package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// coderPeer returns the Go library coder/websocket as a peer.
func coderPeer() peer {
	return peer{
		name:    "coder/websocket",
		can:     fragmenting | pinging | closingFreely | choosingCompression,
		perform: performCoder,
	}
}

var coderKinds = map[string]websocket.MessageType{"text": websocket.MessageText, "binary": websocket.MessageBinary}

func performCoder(ctx context.Context, e exchange) (outcome, error) {
	var o outcome
	var pings atomic.Int32
	options := &websocket.DialOptions{
		Subprotocols: e.Subprotocols,
		HTTPHeader:   http.Header{},
		OnPingReceived: func(context.Context, []byte) bool {
			pings.Add(1)
			return true
		},
	}
	if e.Page != "" {
		options.HTTPHeader.Set("Origin", e.Page)
	}
	if e.Compress {
		options.CompressionMode, options.CompressionThreshold = websocket.CompressionNoContextTakeover, 1
	}
	c, response, err := websocket.Dial(ctx, e.URL, options)
	if err != nil {
		if response == nil {
			return o, err
		}
		o.Status = response.StatusCode
		return o, nil
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(-1)
	o.Opened, o.Subprotocol, o.Extensions = true, c.Subprotocol(), response.Header.Get("Sec-WebSocket-Extensions")

	r := &coderReader{conn: c, arrived: make(chan message, 10_000), ended: make(chan error, 1)}
	go r.read(ctx)
	for _, s := range e.Steps {
		if err := r.step(ctx, s, &o); err != nil {
			o.Failure = s.Do + ": " + err.Error()
			break
		}
	}
	r.finish(ctx, &o)
	o.Pings = int(pings.Load())
	return o, nil
}

// coderReader reads in a goroutine of its own, as an application does.
type coderReader struct {
	conn    *websocket.Conn
	arrived chan message
	ended   chan error
}

func (r *coderReader) read(ctx context.Context) {
	for {
		kind, data, err := r.conn.Read(ctx)
		if err != nil {
			close(r.arrived)
			r.ended <- err
			return
		}
		name := "text"
		if kind == websocket.MessageBinary {
			name = "binary"
		}
		r.arrived <- message{name, base64.StdEncoding.EncodeToString(data)}
	}
}

func (r *coderReader) step(ctx context.Context, s step, o *outcome) error {
	switch s.Do {
	case "send":
		return r.send(ctx, s)
	case "await":
		for len(o.Messages) < s.Messages {
			m, open := <-r.arrived
			if !open {
				return errors.New("the connection ended before")
			}
			o.Messages = append(o.Messages, m)
		}
	case "ping":
		if err := r.conn.Ping(ctx); err != nil {
			return err
		}
		o.Pongs++
	case "rest":
		time.Sleep(time.Duration(s.MS) * time.Millisecond)
	case "close":
		code := websocket.StatusCode(s.Code)
		if s.Code == 0 {
			code = websocket.StatusNoStatusRcvd
		}
		// Without an error the gateway has answered with the same code. Otherwise the reader has the error.
		if err := r.conn.Close(code, s.Reason); err == nil {
			o.Code = int(code)
		}
	}
	return nil
}

func (r *coderReader) send(ctx context.Context, s step) error {
	var fragments [][]byte
	for _, f := range s.Fragments {
		b, err := base64.StdEncoding.DecodeString(f)
		if err != nil {
			return err
		}
		fragments = append(fragments, b)
	}
	if len(fragments) == 1 {
		return r.conn.Write(ctx, coderKinds[s.Kind], fragments[0])
	}
	w, err := r.conn.Writer(ctx, coderKinds[s.Kind])
	if err != nil {
		return err
	}
	for _, f := range fragments {
		if _, err := w.Write(f); err != nil {
			return err
		}
	}
	return w.Close()
}

// finish waits for the end of the connection and returns how it ended.
func (r *coderReader) finish(ctx context.Context, o *outcome) {
	var err error
	select {
	case err = <-r.ended:
	case <-ctx.Done():
		o.Failure = "the connection did not end"
		return
	}
	for m := range r.arrived {
		o.Messages = append(o.Messages, m)
	}
	var closed websocket.CloseError
	if o.Code != 0 {
		return
	}
	if !errors.As(err, &closed) {
		o.Code, o.Reason = 1006, err.Error()
		return
	}
	o.Code, o.Reason = int(closed.Code), closed.Reason
}
