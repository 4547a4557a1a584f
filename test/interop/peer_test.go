package interop

import (
	"context"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// peerChannel marks the connections of peers, so that the suite does not close them.
const peerChannel = "peers"

// peer is the other end of a channel: what a client publishes arrives here, and what it sends arrives there. Frames
// come and go as they are, so that it can say what the server of a stack's own protocol would.
type peer struct {
	conn *websocket.Conn
	feed *feed
}

// newPeer connects to a gateway until the test ends.
func newPeer(t *testing.T, addr, channel string) *peer {
	t.Helper()
	url := "ws://" + addr + "/ws?channel=" + peerChannel + "&channel=" + channel + "&publish=" + channel
	conn, response, err := websocket.Dial(t.Context(), url, nil)
	require.NoError(t, err)
	if response.Body != nil {
		_ = response.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	p := &peer{conn: conn, feed: newFeed()}
	go p.read()
	return p
}

func (p *peer) read() {
	for {
		_, data, err := p.conn.Read(context.Background())
		if err != nil {
			return
		}
		p.feed.add(event{Kind: kindMessage, Text: string(data)})
	}
}

// send publishes one text frame.
func (p *peer) send(ctx context.Context, text string) error {
	return p.conn.Write(ctx, websocket.MessageText, []byte(text))
}
