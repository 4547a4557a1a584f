package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/presence"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// named returns a log in which c1 is replaced by the client's ID.
func named(log string) string { return strings.ReplaceAll(log, "c1", c1.String()) }

// keep gives the harness a real presence keeper. end stops it after the members that left are out.
func (r *harness) keep() (end func()) {
	k := presence.New(presence.Options{
		Broker: r.broker,
		Hub:    r.Hub,
		TTL:    time.Minute,
		Grace:  15 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	})
	r.Presence = k
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	return func() {
		require.NoError(r.t, k.Flush(r.t.Context()))
		cancel()
		require.NoError(r.t, <-ended)
	}
}

// recordingSubscriber records joins (+), leaves (-) and the data of publications.
type recordingSubscriber struct {
	mu     sync.Mutex
	frames map[transport.Frame]string
	got    []string
}

func (l *recordingSubscriber) Encoder() hub.Encoder                { return l }
func (l *recordingSubscriber) InsufficientState(*hub.Subscription) {}

func (l *recordingSubscriber) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	text := string(p.Data)
	switch p.Kind {
	case broker.KindJoin:
		text = "+" + p.Info.Client
	case broker.KindLeave:
		text = "-" + p.Info.Client
	case broker.KindPublication:
	}
	f := transport.NewFrame(transport.Text, []byte(text))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frames == nil {
		l.frames = map[transport.Frame]string{}
	}
	l.frames[f] = text
	return f, nil
}

func (l *recordingSubscriber) Send(f transport.Frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, l.frames[f])
	return true
}

func (l *recordingSubscriber) PresenceInfo(string) (broker.ClientInfo, bool) {
	return broker.ClientInfo{}, false
}

func (l *recordingSubscriber) say(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, what)
}

func (l *recordingSubscriber) heard() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := strings.Join(l.got, " ")
	l.got = nil
	return heard
}

// observe attaches a subscriber that is not in the channel's presence.
func (r *harness) observe(name string) *recordingSubscriber {
	r.t.Helper()
	l := &recordingSubscriber{}
	hold, err := r.Hub.Subscribe(r.t.Context(), name)
	require.NoError(r.t, err)
	r.t.Cleanup(hold.Release)
	hold.Attach(l, hub.AttachOptions{JoinLeave: true}, nil)
	return l
}

func (r *harness) members(name string) string {
	r.t.Helper()
	members, err := r.broker.Broker.Members(r.t.Context(), name, 0)
	require.NoError(r.t, err)
	return strings.Join(slices.Sorted(maps.Keys(members)), " ")
}

// The client is in presence before it has its answer, and gets its own join after it.
func TestSubscribePublishesOwnJoinAfterTheAnswer(t *testing.T) {
	for _, name := range []string{"told:a", "told"} {
		for _, serverSide := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t)
				end := r.keep()
				s, me, others := r.session(&auth.Claims{User: "ann"}), &recordingSubscriber{}, r.observe(name)
				request := session.SubscribeRequest{Channel: name, Subscriber: me, JoinLeave: true, ServerSide: serverSide}
				require.NoError(t, s.Subscribe(t.Context(), request, func(session.SubscribeResult) {
					me.say("answer")
					require.Equal(t, c1.String(), r.members(name))
					require.Empty(t, others.heard())
				}))
				require.Equal(t, named("answer +c1"), me.heard())
				require.Equal(t, named("+c1"), others.heard())

				require.True(t, s.Unsubscribe(name))
				synctest.Wait()
				require.Empty(t, me.heard(), "it is not there any more")
				require.Equal(t, named("-c1"), others.heard())
				request.JoinLeave = false
				require.NoError(t, s.Subscribe(t.Context(), request, ignore))
				require.Empty(t, me.heard(), "it did not ask")
				require.Equal(t, named("+c1"), others.heard())
				s.Close()
				end()
			})
		}
	}
}

// A subscriber gets joins and leaves when the rule has them, and either the subscriber asks or the rule forces them.
func TestSubscribeGetsJoinsAndLeaves(t *testing.T) {
	for name, c := range map[string]struct{ asked, unasked string }{
		"seen:a": {"", ""}, "told": {"+c2 -c2", ""}, "told:a": {"+c2 -c2", ""},
		"forced": {"+c2 -c2", "+c2 -c2"}, "forced:a": {"+c2 -c2", "+c2 -c2"},
	} {
		for asks, want := range map[bool]string{true: c.asked, false: c.unasked} {
			t.Run(fmt.Sprintf("%s, asks %t", name, asks), func(t *testing.T) {
				r := newHarness(t)
				s, me := r.session(nil), &recordingSubscriber{}
				request := session.SubscribeRequest{Channel: name, Subscriber: me, JoinLeave: asks}
				require.NoError(t, s.Subscribe(t.Context(), request, ignore))
				for _, kind := range []broker.Kind{broker.KindJoin, broker.KindLeave} {
					p := broker.Publication{Kind: kind, Info: &broker.ClientInfo{Client: "c2"}}
					_, err := r.broker.Publish(t.Context(), name, p, broker.PublishOptions{})
					require.NoError(t, err)
				}
				require.Equal(t, want, me.heard())
				s.Close()
			})
		}
	}
}

// The join of a client whose protocol has no answers is published when its connection opens.
func TestAttachPublishesJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		end := r.keep()
		s, others := r.session(nil), r.observe("told:a")
		require.NoError(t, s.Reserve(t.Context(), session.SubscribeRequest{Channel: "told:a"}))
		require.Empty(t, others.heard())
		require.NoError(t, s.Attach(t.Context(), "told:a", &recordingSubscriber{}))
		require.Equal(t, named("+c1"), others.heard())
		require.Equal(t, c1.String(), r.members("told:a"))
		s.Close()
		synctest.Wait()
		require.Equal(t, named("-c1"), others.heard())
		end()
	})
}

// A subscription that fails publishes no join and leaves no member.
func TestSubscribePublishesNoJoinWhenItFails(t *testing.T) {
	down := errors.New("down")
	elsewhere := &broker.Position{Offset: 1, Epoch: "elsewhere"}
	// during runs do while the stream of the session's channel is read.
	during := func(do func(s *session.Session) error) func(r *harness, s *session.Session) {
		return func(r *harness, s *session.Session) {
			r.broker.on("history", func(context.Context) error { return do(s) })
		}
	}
	for name, c := range map[string]struct {
		fail    func(r *harness, s *session.Session)
		request session.SubscribeRequest
		want    error
	}{
		"from a position that is no more": {func(*harness, *session.Session) {},
			session.SubscribeRequest{Since: elsewhere, RequireComplete: true}, broker.ErrUnrecoverable},
		"its stream cannot be read": {during(func(*session.Session) error { return down }),
			session.SubscribeRequest{}, down},
		"unsubscribed meanwhile": {
			during(func(s *session.Session) error { s.Unsubscribe("told:a"); return nil }), session.SubscribeRequest{},
			session.ErrSubscriptionEnded},
		"closed meanwhile": {during(func(s *session.Session) error { s.Close(); return nil }), session.SubscribeRequest{},
			session.ErrSubscriptionEnded},
		"unsubscribed, and its stream cannot be read": {
			during(func(s *session.Session) error { s.Unsubscribe("told:a"); return down }), session.SubscribeRequest{},
			session.ErrSubscriptionEnded},
	} {
		for _, user := range []string{"ann", ""} {
			t.Run(name+" "+user, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newHarness(t)
					end := r.keep()
					s, me, others := r.session(&auth.Claims{User: user}), &recordingSubscriber{}, r.observe("told:a")
					c.fail(r, s)
					c.request.Channel, c.request.Subscriber, c.request.JoinLeave = "told:a", me, true
					require.ErrorIs(t, s.Subscribe(t.Context(), c.request, func(session.SubscribeResult) { t.Error("told") }), c.want)
					synctest.Wait()
					require.Empty(t, r.members("told:a"))
					time.Sleep(20 * time.Second)
					require.Empty(t, others.heard())
					require.Empty(t, me.heard())
					s.Close()
					end()
				})
			})
		}
	}
}

// A subscription that is ended as soon as it has begun publishes its join, and then its leave.
func TestUnsubscribePublishesLeaveAfterJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		end := r.keep()
		s, others := r.session(nil), r.observe("told:a")
		r.broker.on("publish", func(context.Context) error {
			s.Unsubscribe("told:a")
			synctest.Wait()
			require.Equal(t, c1.String(), r.members("told:a"), "its turn is not over")
			r.broker.on("publish", nil)
			return nil
		})
		require.NoError(t,
			s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "told:a", Subscriber: &recordingSubscriber{}}, ignore))
		synctest.Wait()
		require.Equal(t, named("+c1 -c1"), others.heard())
		require.Empty(t, r.members("told:a"))
		end()
	})
}

// What others see of a client differs from channel to channel, also when it leaves all of them.
func TestCloseLeavesAllChannels(t *testing.T) {
	r := newHarness(t)
	s, m := r.session(nil), &fakeSubscriber{}
	for channel, info := range map[string]string{"seen:a": "1", "seen:b": "", "other": ""} {
		require.NoError(t, s.Subscribe(t.Context(), session.SubscribeRequest{
			Channel: channel, Subscriber: m, ServerSide: true, Info: []byte(info),
		}, ignore))
	}
	_ = r.presence.read()
	s.Close()
	require.ElementsMatch(t, []string{"~seen:a:c11", "~seen:b:c1"}, strings.Fields(r.presence.read()))
}

// The members of a client's channels share the client's ID: a broker in this process keeps one for each.
func TestClientInfoSharesTheClientsID(t *testing.T) {
	r := newHarness(t)
	s := r.session(nil)
	first, second := s.PublisherInfo("seen:a").Client, s.PublisherInfo("seen:b").Client
	require.Equal(t, c1.String(), first)
	require.Same(t, unsafe.StringData(first), unsafe.StringData(second))
	s.Bind(uuid.Nil, session.Identity{})
	require.Empty(t, s.PublisherInfo("seen:a").Client)
	s.Bind(c1, session.Identity{})
	require.Equal(t, c1.String(), s.PublisherInfo("seen:a").Client)
}
