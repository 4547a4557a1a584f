package gateway_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// jwtKey signs the tests' tokens.
const jwtKey = "a key of thirty-two bytes or more"

// signed is a token with some claims.
func signed(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtKey))
	require.NoError(t, err)
	return token
}

// user is the claims of a token that was issued a minute ago.
func user(name string) jwt.MapClaims {
	return jwt.MapClaims{"sub": name, "iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix()}
}

func withTokens(cfg *config.Config) { cfg.JWTKey, cfg.Anonymous = jwtKey, false }

// withRules sets rules for channels of all kinds.
func withRules(cfg *config.Config) {
	history := channel.History{Size: 100, TTL: channel.Duration(time.Minute)}
	cfg.Channels = channel.Rules{
		{Pattern: "kept:*", History: history, Recovery: true}, {Pattern: "history:*", History: history},
		{Pattern: "short:*", History: channel.History{Size: 2, TTL: channel.Duration(time.Minute)}, Recovery: true},
		{Pattern: "seen:*", Presence: true, JoinLeave: true}, {Pattern: "closed:*", Subscribe: channel.SubscribeToken},
		{Pattern: "read-only:*", Publish: channel.PublishNobody},
	}
	cfg.PresenceGrace = 300 * time.Millisecond
}

// sdk is a client of the Centrifuge protocol that speaks it with the protocol's own module.
type sdk struct {
	*client
	encoding cf.Type
	id       uint32
	// waiting are replies and pushes of a frame that were not looked at yet.
	waiting []*cf.Reply
	pushes  []*cf.Push
}

// encodings are both, by name.
func encodings() map[string]cf.Type {
	return map[string]cf.Type{"json": cf.TypeJSON, "protobuf": cf.TypeProtobuf}
}

// speak dials without a connect command.
func (r *running) speak(t *testing.T, encoding cf.Type) *sdk {
	t.Helper()
	return &sdk{client: r.dial(t, path, &websocket.DialOptions{Subprotocols: []string{"centrifuge-" + string(encoding)}}), encoding: encoding}
}

// join is a connected client, and what its connect was answered.
func (r *running) join(t *testing.T, encoding cf.Type, connect *cf.ConnectRequest) (*sdk, *cf.ConnectResult) {
	t.Helper()
	s := r.speak(t, encoding)
	reply := s.call(&cf.Command{Connect: connect})
	require.Nil(t, reply.Error)
	require.NotNil(t, reply.Connect)
	return s, reply.Connect
}

// as is a connected client of a user.
func (r *running) as(t *testing.T, name string) *sdk {
	t.Helper()
	s, _ := r.join(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user(name))})
	return s
}

// anybody is a connected client.
func (r *running) anybody(t *testing.T) *sdk {
	t.Helper()
	s, _ := r.join(t, cf.TypeJSON, &cf.ConnectRequest{})
	return s
}

// write sends commands in one frame.
func (s *sdk) write(cmds ...*cf.Command) {
	s.t.Helper()
	frame, kind := []byte(nil), websocket.MessageText
	for i, cmd := range cmds {
		if s.encoding == cf.TypeProtobuf {
			// With its length in front.
			b, err := cf.NewProtobufCommandEncoder().Encode(cmd)
			require.NoError(s.t, err)
			frame, kind = append(frame, b...), websocket.MessageBinary
			continue
		}
		b, err := cf.NewJSONCommandEncoder().Encode(cmd)
		require.NoError(s.t, err)
		if i > 0 {
			frame = append(frame, '\n')
		}
		frame = append(frame, b...)
	}
	s.send(kind, string(frame))
}

// next is the next reply or push.
func (s *sdk) next() *cf.Reply {
	s.t.Helper()
	for len(s.waiting) == 0 {
		_, frame, err := s.read()
		require.NoError(s.t, err)
		s.waiting = s.decode([]byte(frame))
	}
	r := s.waiting[0]
	s.waiting = s.waiting[1:]
	return r
}

func (s *sdk) decode(frame []byte) (replies []*cf.Reply) {
	s.t.Helper()
	var decoder cf.ReplyDecoder = cf.NewJSONReplyDecoder(frame)
	if s.encoding == cf.TypeProtobuf {
		decoder = cf.NewProtobufReplyDecoder(frame)
	}
	for {
		r, err := decoder.Decode()
		if errors.Is(err, io.EOF) {
			return replies
		}
		require.NoError(s.t, err)
		replies = append(replies, r)
	}
}

// call sends a command and waits for its reply; pushes that come before are kept.
func (s *sdk) call(cmd *cf.Command) *cf.Reply {
	s.t.Helper()
	s.id++
	cmd.Id = s.id
	s.write(cmd)
	return s.reply()
}

// reply is the next one that is no push.
func (s *sdk) reply() *cf.Reply {
	s.t.Helper()
	for {
		r := s.next()
		if r.Push == nil {
			return r
		}
		s.pushes = append(s.pushes, r.Push)
	}
}

// push is the next one, kept or to come.
func (s *sdk) push() *cf.Push {
	s.t.Helper()
	if len(s.pushes) > 0 {
		p := s.pushes[0]
		s.pushes = s.pushes[1:]
		return p
	}
	r := s.next()
	require.NotNil(s.t, r.Push, "%v", r)
	return r.Push
}

// publication is the next push, which must be one.
func (s *sdk) publication() *cf.Publication {
	s.t.Helper()
	p := s.push()
	require.NotNil(s.t, p.Pub, "%v", p)
	return p.Pub
}

// quiet checks that nothing was pushed: whatever had been would come before the answer to a ping.
func (s *sdk) quiet() {
	s.t.Helper()
	require.NotNil(s.t, s.call(&cf.Command{Ping: &cf.PingRequest{}}).Ping)
	require.Empty(s.t, s.pushes)
}

func (s *sdk) subscribe(r *cf.SubscribeRequest) *cf.SubscribeResult {
	s.t.Helper()
	reply := s.call(&cf.Command{Subscribe: r})
	require.Nil(s.t, reply.Error, "%v", reply.Error)
	return reply.Subscribe
}

func (s *sdk) to(channel string) *cf.SubscribeResult {
	s.t.Helper()
	return s.subscribe(&cf.SubscribeRequest{Channel: channel})
}

// code is the code of the error that a command is answered with.
func (s *sdk) code(cmd *cf.Command) uint32 {
	s.t.Helper()
	reply := s.call(cmd)
	require.NotNil(s.t, reply.Error, "%v", reply)
	return reply.Error.Code
}

// unsubscribed is the code of the next push, which must end a subscription.
func (s *sdk) unsubscribed(channel string) uint32 {
	s.t.Helper()
	p := s.push()
	require.NotNil(s.t, p.Unsubscribe, "%v", p)
	require.Equal(s.t, channel, p.Channel)
	return p.Unsubscribe.Code
}

// hangUp ends the connection without a word and waits until it is gone.
func (s *sdk) hangUp() { _ = s.CloseNow() }

// publishTo publishes over the server API.
func (r *running) publishTo(t *testing.T, channel, data string) {
	t.Helper()
	got := r.api(t, "POST", "publish", `{"channel":"`+channel+`","data":`+data+`}`, "X-API-Key", key)
	require.NotContains(t, got.body, "error")
}

// does calls the server API, which must do it.
func (r *running) does(t *testing.T, method, body string) answer {
	t.Helper()
	got := r.api(t, "POST", method, body, "X-API-Key", key)
	require.Equal(t, 200, got.status, got.body)
	require.NotContains(t, got.body, `"error"`)
	return got
}

// within is a context that ends with the tests' patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
