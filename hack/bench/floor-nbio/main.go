// Command floor-nbio is a server like floor on the event loop of github.com/lesismal/nbio, to compare event loops.
package main

import (
	"context"
	"net"
	"net/http"
	"runtime"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"github.com/wsfleet/wsfleet/hack/bench/internal/canned"
)

// wire writes whole frames past nbio's encoder, which would copy each.
type wire struct{ conn net.Conn }

// Write implements canned.Wire. nbio closes a connection that it cannot write to.
func (w *wire) Write(frame []byte) {
	if w.conn != nil {
		_, _ = w.conn.Write(frame)
	}
}

func main() {
	flags := canned.ParseFlags()
	logging.SetLevel(logging.LevelError)
	f := canned.New(canned.Frame)
	f.Ping(flags.PingInterval)
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", flags.Listen)
	if err != nil {
		canned.Fail(err)
	}
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp", Addrs: []string{listener.Addr().String()},
		Listen:                  func(string, string) (net.Listener, error) { return listener, nil },
		NPoller:                 runtime.GOMAXPROCS(0),
		MaxLoad:                 1 << 20,
		ReleaseWebsocketPayload: true,
		SupportServerOnly:       true,
		// In the loop, as the floor does it.
		ServerExecutor: func(do func()) { do() },
		Handler:        handler(f),
	})
	if err := engine.Start(); err != nil {
		canned.Fail(err)
	}
	canned.Serves("floor-nbio", listener.Addr().String())
	select {}
}

func handler(f *canned.Function[[]byte]) http.Handler {
	upgrader := websocket.NewUpgrader()
	upgrader.CheckOrigin = func(*http.Request) bool { return true }
	// The floor has no timer per connection either.
	upgrader.KeepaliveTime = 0
	upgrader.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, payload []byte) {
		f.Message(c.Session().(*canned.Client[[]byte]), byte(kind), payload)
	})
	upgrader.OnClose(func(c *websocket.Conn, _ error) {
		if client, ok := c.Session().(*canned.Client[[]byte]); ok {
			// In another goroutine, because a write to a channel may call this while it holds the channel's lock.
			go f.Close(client)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c *websocket.Conn
		var err error
		wire := &wire{}
		client := f.Open(wire, r.URL.RequestURI(), func() {
			if c, err = upgrader.Upgrade(w, r, nil); err == nil {
				wire.conn = c.Conn
			}
		})
		switch {
		case client == nil:
			http.NotFound(w, r)
		case err != nil:
			f.Close(client)
		default:
			c.SetSession(client)
		}
	})
}
