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

// signed returns a token with these claims.
func signed(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtKey))
	require.NoError(t, err)
	return token
}

// user returns the claims of a token that was issued a minute ago.
func user(name string) jwt.MapClaims {
	return jwt.MapClaims{"sub": name, "iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix()}
}

func withTokens(cfg *config.Config) { cfg.JWTKey, cfg.Anonymous = jwtKey, false }

// withRules sets rules for channels with and without history, presence and permissions.
func withRules(cfg *config.Config) {
	history := channel.History{Size: 100, TTL: channel.Duration(time.Minute)}
	cfg.Channels = channel.Rules{
		{Pattern: "kept:*", History: history, Recovery: true}, {Pattern: "history:*", History: history},
		{Pattern: "short:*", History: channel.History{Size: 2, TTL: channel.Duration(time.Minute)}, Recovery: true},
		{Pattern: "seen:*", Presence: true, JoinLeave: true},
		{Pattern: "forced:*", Presence: true, JoinLeave: true, ForceJoinLeave: true},
		{Pattern: "members:*", Presence: true, ReadPresence: channel.ReadAnybody},
		{Pattern: "log:*", History: history, Presence: true, ReadHistory: channel.ReadAnybody},
		{Pattern: "state:*", History: history, Recovery: true, RecoveryMode: channel.RecoveryCache, TagsFilter: true},
		{Pattern: "tagged:*", History: history, Recovery: true, Presence: true, TagsFilter: true},
		{Pattern: "closed:*", Subscribe: channel.SubscribeToken}, {Pattern: "read-only:*", Publish: channel.PublishNobody},
	}
	cfg.PresenceGrace = 300 * time.Millisecond
}

// sdk is a client of the Centrifuge protocol that encodes with the module of the protocol's authors.
type sdk struct {
	*client
	encoding cf.Type
	id       uint32
	// waiting holds replies and pushes that were received and not yet returned.
	waiting []*cf.Reply
	pushes  []*cf.Push
}

// encodings returns both encodings of the protocol, by name.
func encodings() map[string]cf.Type {
	return map[string]cf.Type{"json": cf.TypeJSON, "protobuf": cf.TypeProtobuf}
}

// dialCentrifuge connects without a connect command.
func (r *testGateway) dialCentrifuge(t testing.TB, encoding cf.Type) *sdk {
	t.Helper()
	return &sdk{
		client:   r.dial(t, path, &websocket.DialOptions{Subprotocols: []string{"centrifuge-" + string(encoding)}}),
		encoding: encoding,
	}
}

// connectWith returns a client that has sent a connect command, and the result of the command.
func (r *testGateway) connectWith(t testing.TB, encoding cf.Type,
	connect *cf.ConnectRequest) (*sdk, *cf.ConnectResult) {
	t.Helper()
	s := r.dialCentrifuge(t, encoding)
	reply := s.call(&cf.Command{Connect: connect})
	require.Nil(t, reply.Error)
	require.NotNil(t, reply.Connect)
	return s, reply.Connect
}

// connectAs returns a connected client of a user.
func (r *testGateway) connectAs(t *testing.T, name string) *sdk {
	t.Helper()
	s, _ := r.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user(name))})
	return s
}

// connectAnonymous returns a connected client without a user.
func (r *testGateway) connectAnonymous(t testing.TB) *sdk {
	t.Helper()
	s, _ := r.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{})
	return s
}

// write sends commands in one frame.
func (s *sdk) write(cmds ...*cf.Command) {
	s.t.Helper()
	frame, kind := []byte(nil), websocket.MessageText
	for i, cmd := range cmds {
		if s.encoding == cf.TypeProtobuf {
			// In Protobuf every command is prefixed by its length.
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

// next returns the next reply or push.
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

// call sends a command and returns its reply. Pushes that come before it are kept for push.
func (s *sdk) call(cmd *cf.Command) *cf.Reply {
	s.t.Helper()
	s.id++
	cmd.Id = s.id
	s.write(cmd)
	return s.reply()
}

// reply returns the next reply. Pushes that come before it are kept for push.
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

// push returns the next push.
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

// publication returns the next push, which must be a publication.
func (s *sdk) publication() *cf.Publication {
	s.t.Helper()
	p := s.push()
	require.NotNil(s.t, p.Pub, "%v", p)
	return p.Pub
}

// quiet asserts that there is no push. A push would come before the reply to a ping.
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

func (s *sdk) subscribeTo(channel string) *cf.SubscribeResult {
	s.t.Helper()
	return s.subscribe(&cf.SubscribeRequest{Channel: channel})
}

// code returns the code of the error in the reply to a command.
func (s *sdk) code(cmd *cf.Command) uint32 {
	s.t.Helper()
	reply := s.call(cmd)
	require.NotNil(s.t, reply.Error, "%v", reply)
	return reply.Error.Code
}

// unsubscribed returns the code of the next push, which must end the subscription to a channel.
func (s *sdk) unsubscribed(channel string) uint32 {
	s.t.Helper()
	p := s.push()
	require.NotNil(s.t, p.Unsubscribe, "%v", p)
	require.Equal(s.t, channel, p.Channel)
	return p.Unsubscribe.Code
}

// abort closes the connection without a close frame.
func (s *sdk) abort() { _ = s.CloseNow() }

// publishTo publishes through the server API.
func (r *testGateway) publishTo(t *testing.T, channel, data string) {
	t.Helper()
	got := r.api(t, "POST", "publish", `{"channel":"`+channel+`","data":`+data+`}`, "X-API-Key", key)
	require.NotContains(t, got.body, "error")
}

// callAPI calls a method of the server API that must succeed.
func (r *testGateway) callAPI(t *testing.T, method, body string) answer {
	t.Helper()
	got := r.api(t, "POST", method, body, "X-API-Key", key)
	require.Equal(t, 200, got.status, got.body)
	require.NotContains(t, got.body, `"error"`)
	return got
}

// timeoutContext returns a context that ends after waitTimeout.
func timeoutContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	t.Cleanup(cancel)
	return ctx
}
