package interop

import (
	"errors"
	"fmt"
	"io"

	"github.com/gorilla/websocket"
)

func connectGorilla(g *goClient) error {
	conn, response, err := websocket.DefaultDialer.Dial(g.URL, nil)
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		if response != nil {
			return fmt.Errorf("%w, response %d", err, response.StatusCode)
		}
		return err
	}
	g.send = func(text string) error { return conn.WriteMessage(websocket.TextMessage, []byte(text)) }
	g.fragments = func(parts []string) error { return gorillaFragments(conn, parts) }
	g.close = func() { _ = conn.Close() }
	g.say(kindOpen, "")
	for {
		_, message, err := conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			g.last(fmt.Sprintf("close %d %s", closed.Code, closed.Text))
			return nil
		}
		if err != nil {
			return err
		}
		g.got(message)
	}
}

// gorillaFragments writes one message. Its parts are longer than the writer's buffer, so each leaves as a fragment.
func gorillaFragments(conn *websocket.Conn, parts []string) error {
	w, err := conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return w.Close()
}
