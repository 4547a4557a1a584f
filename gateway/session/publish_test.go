package session_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
)

func TestPublish(t *testing.T) {
	r := newHarness(t)
	var counted []error
	r.Published = func(_ time.Duration, err error) { counted = append(counted, err) }
	ann := r.session(&auth.Claims{User: "ann", Info: []byte(`{"name":1}`)})
	message := func(channel string) session.Message {
		return session.Message{Channel: channel, Data: []byte("x"), IdempotencyKey: "k"}
	}

	_, err := ann.Publish(t.Context(), message(""))
	require.ErrorIs(t, err, session.ErrChannelName)
	_, err = ann.Publish(t.Context(), message("history:a"))
	require.ErrorIs(t, err, session.ErrNotSubscribed)
	require.Empty(t, counted, "what was refused was no attempt")
	require.NoError(t, ann.Subscribe(t.Context(), to("history:a"), ignore))
	first, err := ann.Publish(t.Context(), message("history:a"))
	require.NoError(t, err)
	require.Equal(t, uint64(1), first.Offset)
	again, err := ann.Publish(t.Context(), message("history:a"))
	require.NoError(t, err)
	require.True(t, again.Repeated)
	conflict := message("history:a")
	conflict.Binary = true
	_, err = ann.Publish(t.Context(), conflict)
	require.ErrorIs(t, err, broker.ErrIdempotencyConflict)
	require.Len(t, counted, 3)

	stream, err := ann.History(t.Context(), "history:a", broker.HistoryQuery{Limit: 10})
	require.NoError(t, err)
	require.Len(t, stream.Publications, 1)
	require.Equal(t, &broker.ClientInfo{Client: c1.String(), User: "ann", ConnInfo: []byte(`{"name":1}`)},
		stream.Publications[0].Info)

	anonymous := r.session(nil)
	require.NoError(t, anonymous.Subscribe(t.Context(), to("history:b"), ignore))
	_, err = anonymous.Publish(t.Context(), message("history:b"))
	require.NoError(t, err)
	stream, err = anonymous.History(t.Context(), "history:b", broker.HistoryQuery{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, &broker.ClientInfo{Client: c1.String()}, stream.Publications[0].Info)
	anonymous.Close()

	anonymous = r.session(nil)
	_, err = anonymous.Publish(t.Context(), message("anybody:a"))
	require.NoError(t, err)
	ann.Close()
}

func TestPublishEndsAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		r.broker.on("publish", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		_, err := r.session(nil).Publish(context.WithoutCancel(t.Context()),
			session.Message{Channel: "anybody:a", Data: []byte("x")})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, timeout, time.Since(start))
	})
}

// A repeated message is recognised by the client's data, whatever the publish hook replaces it with.
func TestPublishFingerprintsTheClientsData(t *testing.T) {
	r := newHarness(t)
	s := r.session(nil)
	defer s.Close()
	require.NoError(t, s.Subscribe(t.Context(), to("history:a"), ignore))
	publish := func(said, made string) (broker.PublishResult, error) {
		r.answering(map[string]string{"publish": `{"result":{"data":"` + made + `"}}`})
		return s.Publish(t.Context(), session.Message{Channel: "history:a", Data: []byte(said), IdempotencyKey: "k"})
	}
	first, err := publish("a", "1")
	require.NoError(t, err)
	again, err := publish("a", "2")
	require.NoError(t, err)
	require.Equal(t, broker.PublishResult{Position: first.Position, Repeated: true}, again)
	_, err = publish("b", "1")
	require.ErrorIs(t, err, broker.ErrIdempotencyConflict, "though the backend makes the same of it")
	stream, err := s.History(t.Context(), "history:a", broker.HistoryQuery{Limit: -1})
	require.NoError(t, err)
	require.Len(t, stream.Publications, 1)
	require.Equal(t, `"1"`, string(stream.Publications[0].Data))
}

func TestPublishAppliesThePublishHook(t *testing.T) {
	for answer, want := range map[string]string{
		`{"result":{}}`:                              "hello/false",
		`{"result":{"data":{"x":1}}}`:                `{"x":1}/false`,
		`{"result":{"b64data":"AP8="}}`:              "\x00\xff/true",
		`{"error":{"code":403,"message":"no"}}`:      "error",
		`{"disconnect":{"code":4001,"reason":"no"}}`: "disconnect",
	} {
		r := newHarness(t)
		asked := r.answering(map[string]string{"publish": answer})
		s := r.session(nil)
		require.NoError(t, s.Subscribe(t.Context(), to("history:a"), ignore))
		_, err := s.Publish(t.Context(), session.Message{Channel: "history:a", Data: []byte("hello"), Protocol: "plain"})
		stream, readErr := s.History(t.Context(), "history:a", broker.HistoryQuery{Limit: -1})
		require.NoError(t, readErr)
		switch want {
		case "error":
			require.ErrorAs(t, err, new(*hooks.Error))
			require.Empty(t, stream.Publications)
		case "disconnect":
			require.ErrorAs(t, err, new(*hooks.Disconnect))
			require.Empty(t, stream.Publications)
		default:
			require.NoError(t, err)
			require.Equal(t, want, fmt.Sprintf("%s/%t", stream.Publications[0].Data, stream.Publications[0].Binary))
		}
		require.Len(t, asked.all(), 1)
		s.Close()
	}
}

func TestHistory(t *testing.T) {
	r := newHarness(t)
	var top broker.Position
	for i := range 1200 {
		got, err := r.broker.Publish(t.Context(), "history:a", broker.Publication{Data: fmt.Append(nil, i)},
			broker.PublishOptions{History: r.Hub.Rule("history:a").History})
		require.NoError(t, err)
		top = got.Position
	}
	s := r.session(nil)
	_, err := s.History(t.Context(), "history:a", broker.HistoryQuery{Limit: 1})
	require.ErrorIs(t, err, session.ErrNotSubscribed)
	for _, name := range []string{"history:a", "open"} {
		require.NoError(t, s.Subscribe(t.Context(), to(name), ignore))
	}
	for name, c := range map[string]struct {
		channel string
		query   broker.HistoryQuery
		many    int
		first   uint64
		want    error
	}{
		"position only":  {"history:a", broker.HistoryQuery{}, 0, 0, nil},
		"some":           {"history:a", broker.HistoryQuery{Limit: 5}, 5, 1, nil},
		"most":           {"history:a", broker.HistoryQuery{Limit: 1000}, 1000, 1, nil},
		"more":           {"history:a", broker.HistoryQuery{Limit: 1001}, 0, 0, session.ErrLimit},
		"as many as may": {"history:a", broker.HistoryQuery{Limit: -1}, 1000, 1, nil},
		"the latest":     {"history:a", broker.HistoryQuery{Limit: 2, Reverse: true}, 2, 1200, nil},
		"since": {"history:a",
			broker.HistoryQuery{Limit: 2, Since: &broker.Position{Offset: 1199, Epoch: top.Epoch}}, 1, 1200, nil},
		"another epoch": {"history:a", broker.HistoryQuery{Limit: 2, Since: &broker.Position{Offset: 1, Epoch: "x"}}, 0, 0,
			broker.ErrUnrecoverable},
		"any epoch":  {"history:a", broker.HistoryQuery{Limit: 2, Since: &broker.Position{Offset: 1}}, 2, 2, nil},
		"no history": {"open", broker.HistoryQuery{Limit: 2}, 0, 0, session.ErrNotAvailable},
		"bad name":   {"", broker.HistoryQuery{Limit: 2}, 0, 0, session.ErrChannelName},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := s.History(t.Context(), c.channel, c.query)
			require.ErrorIs(t, err, c.want)
			require.Len(t, stream.Publications, c.many)
			if c.many > 0 {
				require.Equal(t, c.first, stream.Publications[0].Offset)
			}
			if c.want == nil {
				require.Equal(t, top, stream.Top)
			}
		})
	}
	s.Close()
}

func TestMembers(t *testing.T) {
	r := newHarness(t)
	_, err := r.broker.Join(t.Context(), "seen:a", broker.ClientInfo{Client: "c2", User: "bob"}, time.Minute)
	require.NoError(t, err)
	ask := func(s *session.Session, channel string) error {
		members, err := s.Members(t.Context(), channel)
		clients, users, statsErr := s.PresenceStats(t.Context(), channel)
		require.Equal(t, err, statsErr)
		require.Equal(t, err == nil, len(members) == 1 && clients == 1 && users == 1)
		return err
	}
	anonymous := r.session(nil)
	require.ErrorIs(t, ask(anonymous, "seen:a"), session.ErrNotSubscribed)
	require.ErrorIs(t, ask(anonymous, ""), session.ErrChannelName)
	allowed := r.session(&auth.Claims{
		Caps: []auth.Capability{{Channels: []string{"*"}, Allow: []auth.Permission{auth.Presence}}},
	})
	require.NoError(t, ask(allowed, "seen:a"))
	require.ErrorIs(t, ask(allowed, "open"), session.ErrNotAvailable)
	_, err = allowed.History(t.Context(), "history:a", broker.HistoryQuery{})
	require.ErrorIs(t, err, session.ErrNotSubscribed, "presence is not history")
}

// A rule may let every client read the members, or the history.
func TestSessionReadsWhatTheRuleOpens(t *testing.T) {
	r := newHarness(t)
	for name, c := range map[string]struct{ history, members error }{
		"kept:a":    {session.ErrNotSubscribed, session.ErrNotSubscribed},
		"members:a": {session.ErrNotSubscribed, nil},
		"log:a":     {nil, session.ErrNotSubscribed},
	} {
		_, err := r.broker.Publish(t.Context(), name, broker.Publication{Data: []byte("1")},
			broker.PublishOptions{History: r.Hub.Rule(name).History})
		require.NoError(t, err)
		_, err = r.broker.Join(t.Context(), name, broker.ClientInfo{Client: "c2", User: "bob"}, time.Minute)
		require.NoError(t, err)
		s := r.session(nil)
		stream, err := s.History(t.Context(), name, broker.HistoryQuery{Limit: 5})
		require.ErrorIs(t, err, c.history, name)
		require.Equal(t, err == nil, len(stream.Publications) == 1, name)
		members, err := s.Members(t.Context(), name)
		require.ErrorIs(t, err, c.members, name)
		require.Equal(t, err == nil, len(members) == 1, name)
		clients, _, err := s.PresenceStats(t.Context(), name)
		require.ErrorIs(t, err, c.members, name)
		require.Equal(t, err == nil, clients == 1, name)
	}
}

func TestCall(t *testing.T) {
	r := newHarness(t)
	_, err := r.session(nil).Call(t.Context(), "json", "m", hooks.Payload{})
	require.ErrorIs(t, err, session.ErrNoBackend)
	asked := r.answering(map[string]string{"rpc": `{"result":{"data":{"id":17}}}`})
	got, err := r.session(&auth.Claims{
		User: "ann",
	}).Call(t.Context(), "json", "m", hooks.Payload{Bytes: []byte(`{"x":1}`)})
	require.NoError(t, err)
	require.Equal(t, `{"id":17}`, string(got.Bytes))
	for _, part := range []string{`"method":"m"`, `"user":"ann"`, `"client":"` + c1.String() + `"`, `"data":{"x":1}`} {
		require.Contains(t, asked.all()[0], part)
	}
	r.answering(map[string]string{"rpc": `{"error":{"code":403,"message":"no"}}`})
	_, err = r.session(nil).Call(t.Context(), "json", "m", hooks.Payload{})
	require.ErrorAs(t, err, new(*hooks.Error))
}
