package centrifuge

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// fakeConn is a connection without a network.
type fakeConn struct {
	sent int
	// spent counts calls of Spend, of which limit are allowed unless it is 0. exceeded is what was sent
	// before Exceed.
	spent, limit, exceeded int

	closed []transport.Close
	expiry time.Duration
	stale  transport.Close
}

func (c *fakeConn) ID() string                                     { return "id" }
func (c *fakeConn) RemoteIP() netip.Addr                           { return netip.Addr{} }
func (c *fakeConn) Spend() bool                                    { c.spent++; return c.limit == 0 || c.spent <= c.limit }
func (c *fakeConn) Exceed()                                        { c.exceeded = c.sent }
func (c *fakeConn) OpenedAt() time.Time                            { return time.Time{} }
func (c *fakeConn) QueuedBytes() int                               { return 0 }
func (c *fakeConn) Send(transport.Frame) bool                      { c.sent++; return len(c.closed) == 0 }
func (c *fakeConn) Queue(f transport.Frame) bool                   { return c.Send(f) }
func (c *fakeConn) Flush()                                         {}
func (c *fakeConn) Close(cl transport.Close)                       { c.closed = append(c.closed, cl) }
func (c *fakeConn) StartHeartbeat(*transport.Heartbeat)            {}
func (c *fakeConn) CloseAfter(d time.Duration, cl transport.Close) { c.expiry, c.stale = d, cl }
func (c *fakeConn) Pong() bool                                     { return false }

// handler returns a client's handler on a hub of its own.
func handler() *client {
	h := hub.New(hub.Options{Logger: slog.New(slog.DiscardHandler)})
	b := memory.New(h.Deliver)
	h.Use(b)
	o := Options{ConnectTimeout: 10 * time.Second, CommandFailed: func(uint32) {}, Options: protocol.Options{
		Session: session.Options{Hub: h, Broker: b, MaxChannels: 8, Timeout: time.Second, Published: func(time.Duration, error) {}},
		Logger:  slog.New(slog.DiscardHandler),
	}}
	return &client{centrifuge: New(o), session: session.New(&o.Session)}
}

func TestConnectionWithoutConnectGoesStale(t *testing.T) {
	conn, c := &fakeConn{}, handler()
	c.OnOpen(conn)
	require.Equal(t, 10*time.Second, conn.expiry)
	require.Equal(t, disconnectStale(), conn.stale)
	c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
	require.Zero(t, conn.expiry, "taken back")
	c.OnClose(transport.Close{})
}

// A frame may hold hundreds of commands, and each counts; but for the subscriptions with which SDKs
// come back.
func TestEveryCommandCounts(t *testing.T) {
	const ping, subscribe, last = `{"id":2,"ping":{}}`, `{"id":3,"subscribe":{"channel":"a"}}`, `{"id":9,"subscribe":{"channel":"last"}}`
	for name, c := range map[string]struct {
		frame string
		spent int
	}{
		"one":           {ping, 0},
		"three":         {ping + "\n" + ping + "\n" + ping, 2},
		"subscriptions": {subscribe + "\n" + subscribe + "\n" + subscribe, 0},
		"mixed":         {subscribe + "\n" + ping + "\n" + subscribe, 1},
	} {
		t.Run(name, func(t *testing.T) {
			conn, c2 := &fakeConn{}, handler()
			c2.OnOpen(conn)
			c2.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
			c2.OnMessage(t.Context(), transport.Text, []byte(c.frame))
			require.Equal(t, c.spent, conn.spent)
			c2.OnClose(transport.Close{})
		})
	}

	conn, c := &fakeConn{limit: 1}, handler()
	c.OnOpen(conn)
	c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
	c.OnMessage(t.Context(), transport.Text, []byte(ping+"\n"+ping+"\n"+ping+"\n"+last))
	require.Equal(t, 2, conn.exceeded, "the answers to what was allowed go out first")
	require.Empty(t, conn.closed)
	require.Empty(t, c.Channels(), "nothing after it is done")
	c.OnClose(transport.Close{})
}

// FuzzFrames sends anything to a connected client's handler: it answers or disconnects, and no
// channel stays behind.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"id":2,"subscribe":{"channel":"a"}}`, `{"id":2,"publish":{"channel":"a","data":{"x":[1,null]}}}`, `{}`, "{}\n{}", "\n", `null`, `[]`,
		`{"id":2,"ping":{}}` + "\n" + `{"id":3,"unsubscribe":{"channel":"a"}}`, `{"id":4294967296,"ping":{}}`, `{"id":2,"rpc":{"data":"\ud800"}}`,
		`{"id":2,"subscribe":{"channel":"a"}}` + "\n" + `{"id":3,"publish":{"channel":"a","data":"b"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		conn, c := &fakeConn{}, handler()
		c.OnOpen(conn)
		c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
		c.OnMessage(t.Context(), transport.Text, frame)
		for _, cl := range conn.closed {
			require.Contains(t, []int{3501, 3004}, cl.Code)
		}
		c.OnClose(transport.Close{})
		require.Empty(t, c.Channels())
	})
}

// FuzzCommands decodes anything: what is taken for a command is one, since it survives being encoded and decoded
// again, and no frame yields more commands than it has lines.
func FuzzCommands(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"connect":{"token":"t","data":{"a":[1,2]},"subs":{"x":{"recover":true,"offset":5,"epoch":"e"}}}}`, `{"id":2,"subscribe":{"channel":"a"}}` + "\n" + `{}`,
		`{"id":3,"publish":{"channel":"a","data":"\ud83d\udc4b"}}`, `{"id":4,"rpc":{"method":"m","data":null}}`, `{"send":{"data":1}}`, "\n\n", "{", `{"id":-1}`, `{"id":1e3}`, `{"id":"1"}`, `{"unknown":{}}`, "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		decode := func(frame []byte) (decoded []*cf.Command, err error) {
			err = commands(frame, func(cmd *cf.Command) error {
				decoded = append(decoded, cmd)
				return nil
			})
			return decoded, err
		}
		taken, _ := decode(frame)
		require.LessOrEqual(t, len(taken), 1+bytes.Count(frame, []byte("\n")))
		for _, cmd := range taken {
			encoded, err := cf.NewJSONCommandEncoder().Encode(cmd)
			if err != nil {
				// Data that is no JSON is found when it is sent on.
				continue
			}
			again, err := decode(encoded)
			require.NoError(t, err, "%s", encoded)
			require.Len(t, again, 1)
			require.Equal(t, cmd.Id, again[0].Id)
			require.Equal(t, cmd.GetSubscribe().GetChannel(), again[0].GetSubscribe().GetChannel())
			require.Equal(t, cmd.GetPublish().GetChannel(), again[0].GetPublish().GetChannel())
		}
	})
}

func TestDecodingStopsAtTheFirstError(t *testing.T) {
	wrong := errors.New("wrong")
	seen := 0
	err := commands([]byte("{\"id\":1}\n{\"id\":2}\n{\"id\":3}"), func(cmd *cf.Command) error {
		seen++
		if cmd.Id == 2 {
			return wrong
		}
		return nil
	})
	require.ErrorIs(t, err, wrong)
	require.Equal(t, 2, seen)
}
