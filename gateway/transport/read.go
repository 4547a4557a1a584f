package transport

import (
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// run is the reader goroutine and the connection's whole life after the handshake.
func (c *conn) run() {
	go c.write()
	end := c.read()

	// A peer that began the close gets its answer flushed; one that is gone gets nothing.
	if end.gone {
		close(c.stop)
		c.abort()
	}
	<-c.written
	if end.drain {
		// Closing a socket with unread bytes resets it, and the reset overtakes the close frame.
		_, _ = io.Copy(io.Discard, c.net)
	}
	c.abort()
	c.finish(end)
}

// ending is how reading ended.
type ending struct {
	// code is what the connection closed with, as counted.
	code int
	// gone: nobody is there any more to write to.
	gone bool
	// drain: the peer may still be sending what nobody will parse.
	drain bool
}

// read hands messages to the handler until the connection ends.
func (c *conn) read() ending {
	for {
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			return c.readFailed(err)
		}
		c.server.options.Observer.MessageReceived(c.endpoint.Protocol, len(data))
		if c.isClosing() {
			continue
		}
		if kind == websocket.TextMessage && !utf8.Valid(data) {
			c.Close(Close{CodeInvalidData, "text message is not UTF-8"})
			continue
		}
		c.handle(Kind(kind), data)
	}
}

// handle calls the handler. A bug met by one client's message must not end the others.
func (c *conn) handle(kind Kind, data []byte) {
	c.setBusy(true)
	defer c.setBusy(false)
	defer func() {
		if p := recover(); p != nil {
			c.server.options.Logger.Error("message handler failed", slog.Any("panic", p), slog.String("connection", c.id), slog.String("stack", string(debug.Stack())))
			c.Close(Close{CodeInternal, "internal error"})
		}
	}()
	c.handler.OnMessage(kind, data)
}

// readFailed tells a close from a violation from a peer that is gone.
func (c *conn) readFailed(err error) ending {
	closed, isClose := errors.AsType[*websocket.CloseError](err)
	switch {
	case isClose && closed.Code != CodeAbnormal:
		// When the gateway began, this is the answer, and the close does nothing.
		c.Close(Close{Code: closed.Code})
		return ending{code: c.farewellCode()}
	case errors.Is(err, websocket.ErrReadLimit):
		c.Close(Close{CodeTooBig, "message is larger than the gateway's limit"})
		return ending{code: c.farewellCode(), drain: true}
	case !isClose && strings.HasPrefix(err.Error(), "websocket: "):
		c.Close(Close{CodeProtocolError, strings.TrimPrefix(err.Error(), "websocket: ")})
		return ending{code: c.farewellCode(), drain: true}
	case c.isClosing():
		return ending{code: c.farewellCode(), gone: true}
	}
	return ending{code: CodeAbnormal, gone: true}
}

func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = busy
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

func (c *conn) farewellCode() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.farewell.Code
}

// finish gives back what the connection held.
func (c *conn) finish(end ending) {
	c.mu.Lock()
	if !c.closing {
		c.closing = true
		c.server.remaining.Add(-1)
	}
	if c.pulse != nil {
		c.pulse.timer.Stop()
	}
	if c.linger != nil {
		c.linger.Stop()
	}
	reason := c.farewell.Reason
	c.mu.Unlock()
	c.cancel()

	c.handler.OnClose(Close{end.code, reason})
	if c.net != nil {
		c.server.options.Observer.ConnectionClosed(c.endpoint.Protocol, end.code)
	}
	c.server.options.Logger.Debug("connection closed", slog.String("connection", c.id), slog.Int("code", end.code))
	c.server.remove(c)
}
