package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/centrifugal/centrifuge-go"
	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/gorilla/websocket"
	xnet "golang.org/x/net/websocket"
)

func connectGorilla(g *goClient) error {
	conn, response, err := websocket.DefaultDialer.Dial(g.URL, nil)
	if err := dialed(response, err); err != nil {
		return err
	}
	g.send = func(text string) error { return conn.WriteMessage(websocket.TextMessage, []byte(text)) }
	g.fragments = func(parts []string) error { return gorillaFragments(conn, parts) }
	g.close = func() { _ = conn.Close() }
	g.say(kindOpen, "")
	for {
		_, message, err := conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			g.last(fmt.Sprintf("CloseError %d %s", closed.Code, closed.Text))
			return nil
		}
		if err != nil {
			return err
		}
		g.got(message)
	}
}

// dialed closes the answer's body, and adds its status to the error of a dial.
func dialed(response *http.Response, err error) error {
	if response == nil || err == nil {
		return err
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	return fmt.Errorf("%w (response.StatusCode %d)", err, response.StatusCode)
}

// gorillaFragments writes one message. Its parts are longer than the writer's buffer, so each leaves as a fragment.
func gorillaFragments(conn *websocket.Conn, parts []string) error {
	w, err := conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	return writeParts(w, parts)
}

func writeParts(w io.WriteCloser, parts []string) error {
	for _, part := range parts {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return w.Close()
}

func connectCoder(g *goClient) error {
	ctx, cancel := context.WithCancel(context.Background())
	conn, response, err := coder.Dial(ctx, g.URL, nil)
	if err := dialed(response, err); err != nil {
		cancel()
		return err
	}
	conn.SetReadLimit(1 << 20)
	g.send = func(text string) error { return conn.Write(ctx, coder.MessageText, []byte(text)) }
	g.fragments = func(parts []string) error {
		w, err := conn.Writer(ctx, coder.MessageText)
		if err != nil {
			return err
		}
		return writeParts(w, parts)
	}
	g.close = cancel
	g.say(kindOpen, "")
	for {
		_, message, err := conn.Read(ctx)
		if closed, ok := errors.AsType[coder.CloseError](err); ok {
			g.last(fmt.Sprintf("CloseError %d %s", closed.Code, closed.Reason))
			return nil
		}
		if err != nil {
			return err
		}
		g.got(message)
	}
}

func connectGobwas(g *goClient) error {
	conn, _, _, err := ws.Dial(context.Background(), g.URL)
	if err != nil {
		return err
	}
	g.send = func(text string) error { return wsutil.WriteClientText(conn, []byte(text)) }
	g.fragments = func(parts []string) error {
		for i, part := range parts {
			frame := ws.NewFrame(ws.OpContinuation, i == len(parts)-1, []byte(part))
			if i == 0 {
				frame.Header.OpCode = ws.OpText
			}
			if err := ws.WriteFrame(conn, ws.MaskFrame(frame)); err != nil {
				return err
			}
		}
		return nil
	}
	g.close = func() { _ = conn.Close() }
	g.say(kindOpen, "")
	for {
		message, err := wsutil.ReadServerText(conn)
		if closed, ok := errors.AsType[wsutil.ClosedError](err); ok {
			g.last(fmt.Sprintf("ClosedError %d %s", closed.Code, closed.Reason))
			return nil
		}
		if err != nil {
			return err
		}
		g.got(message)
	}
}

func connectXNet(g *goClient) error {
	conn, err := xnet.Dial(g.URL, "", "http://"+g.host())
	if err != nil {
		return err
	}
	g.send = func(text string) error { return xnet.Message.Send(conn, text) }
	g.close = func() { _ = conn.Close() }
	g.say(kindOpen, "")
	for {
		var message []byte
		if err := xnet.Message.Receive(conn, &message); err != nil {
			return err
		}
		g.got(message)
	}
}

func connectCentrifugeGo(g *goClient) error {
	client := centrifuge.NewJsonClient(g.URL, centrifuge.Config{})
	client.OnConnecting(func(e centrifuge.ConnectingEvent) {
		if e.Code != 0 {
			g.say(kindSees, fmt.Sprintf("OnConnecting %d %s", e.Code, e.Reason))
		}
	})
	client.OnError(func(e centrifuge.ErrorEvent) { g.say(kindSees, "OnError "+e.Error.Error()) })
	client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		g.last(fmt.Sprintf("OnDisconnected %d %s", e.Code, e.Reason))
		g.say(kindEnded, "")
	})
	subscription, err := client.NewSubscription(g.Channel)
	if err != nil {
		return err
	}
	subscription.OnSubscribed(func(centrifuge.SubscribedEvent) { g.say(kindOpen, "") })
	subscription.OnPublication(func(e centrifuge.PublicationEvent) {
		var text string
		if json.Unmarshal(bytes.TrimSpace(e.Data), &text) == nil {
			g.got([]byte(text))
		}
	})
	g.send = func(text string) error {
		data, err := json.Marshal(text)
		if err != nil {
			return err
		}
		_, err = subscription.Publish(context.Background(), data)
		return err
	}
	g.close = client.Close
	if err := subscription.Subscribe(); err != nil {
		return err
	}
	return client.Connect()
}
