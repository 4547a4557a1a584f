package session_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestCheckChannel(t *testing.T) {
	for name, good := range map[string]bool{
		"a":                      true,
		"kanal:ä":                true,
		"with space":             true,
		"*":                      true,
		strings.Repeat("x", 255): true,
		"":                       false,
		strings.Repeat("x", 256): false,
		"a\x00":                  false,
		"a\n":                    false,
		"\x7f":                   false,
		"\u0085":                 false,
		"\xff":                   false,
		"a\xc3":                  false,
	} {
		require.Equal(t, good, session.CheckChannel(name) == nil, "%q", name)
	}
}

func TestSubscribeAndUnsubscribe(t *testing.T) {
	r := newHarness(t)
	s, m := r.session(nil), &fakeSubscriber{}
	var told session.SubscribeResult
	require.NoError(t,
		s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "seen:a", Subscriber: m},
			func(x session.SubscribeResult) { told = x }))
	require.True(t, told.Rule.Presence)
	require.False(t, told.Positioned)
	require.Equal(t, "+seen:a:c1 !seen:a:c1", r.presence.read())
	require.Equal(t, []string{"seen:a"}, s.Channels())
	_, err := r.broker.Publish(t.Context(), "seen:a", broker.Publication{Data: []byte("x")}, broker.PublishOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, m.count())

	require.ErrorIs(t, s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "seen:a", Subscriber: m}, ignore),
		session.ErrSubscribed)
	require.True(t, s.Unsubscribe("seen:a"))
	require.False(t, s.Unsubscribe("seen:a"))
	require.Equal(t, "-seen:a:c1", r.presence.read(), "and said so, once")
	_, err = r.broker.Publish(t.Context(), "seen:a", broker.Publication{Data: []byte("x")}, broker.PublishOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, m.count())

	for i := range 4 {
		require.NoError(t,
			s.Subscribe(t.Context(), session.SubscribeRequest{Channel: fmt.Sprint("seen:", i), Subscriber: m}, ignore))
	}
	err = s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "seen:5", Subscriber: m}, ignore)
	require.ErrorIs(t, err, session.ErrTooManyChannels)
	require.ErrorContains(t, err, "the limit is 4")
	require.ErrorIs(t, s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "", Subscriber: m}, ignore),
		session.ErrChannelName)
	_ = r.presence.read()
	s.Close()
	require.ElementsMatch(t, []string{"~seen:0:c1", "~seen:1:c1", "~seen:2:c1", "~seen:3:c1"},
		strings.Fields(r.presence.read()))
	require.Empty(t, s.Channels())
	s.Close()
	require.Empty(t, r.presence.read())
	require.ErrorIs(t, s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "seen:a", Subscriber: m}, ignore),
		session.ErrSubscriptionEnded)
	require.Empty(t, r.presence.read(), "what is closed stays closed")
}

// The position that a subscription begins with depends on the rule and on the client's request.
func TestResumesOnlyWithRecoveryInAllChannels(t *testing.T) {
	r := newHarness(t)
	s := r.session(nil)
	require.True(t, s.Resumes(), "a client without channels misses nothing")
	for _, c := range []struct {
		channel string
		resumes bool
	}{{"kept:a", true}, {"state:a", true}, {"history:a", false}, {"kept:b", false}} {
		require.NoError(t, s.Subscribe(t.Context(),
			session.SubscribeRequest{Channel: c.channel, Subscriber: &fakeSubscriber{}}, func(session.SubscribeResult) {}))
		require.Equal(t, c.resumes, s.Resumes(), c.channel)
	}
	require.True(t, s.Unsubscribe("history:a"))
	require.True(t, s.Resumes())
}

func TestSubscribePositions(t *testing.T) {
	for name, c := range map[string]struct {
		channel              string
		positioned, want     bool
		since                *broker.Position
		recovered, publishes bool
	}{
		"no history":               {channel: "a"},
		"no history, wanted":       {channel: "a", positioned: true},
		"history":                  {channel: "history:a"},
		"history, wanted":          {channel: "history:a", positioned: true, want: true},
		"history without recovery": {channel: "history:a", positioned: true, since: &broker.Position{}, want: true},
		"recovery, not wanted":     {channel: "kept:a", want: true},
		"recovery from nowhere":    {channel: "kept:a", since: &broker.Position{Epoch: "x"}, want: true},
		"recovery from the beginning": {
			channel:   "kept:a",
			since:     &broker.Position{Epoch: "right"},
			want:      true,
			recovered: true,
		},
		"recovery from beyond the end": {channel: "kept:a", since: &broker.Position{Epoch: "right", Offset: 99}, want: true},
		"cache, not wanted":            {channel: "state:a", want: true},
		"cache of another epoch": {
			channel:   "state:a",
			since:     &broker.Position{Epoch: "x", Offset: 1},
			want:      true,
			recovered: true,
		},
		"cache without a position": {channel: "state:a", since: &broker.Position{}, want: true, recovered: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			top, err := r.broker.Publish(t.Context(), c.channel, broker.Publication{Data: []byte("x")},
				broker.PublishOptions{History: r.Hub.Rule(c.channel).History})
			require.NoError(t, err)
			if c.since != nil && c.since.Epoch == "right" {
				c.since.Epoch = top.Epoch
			}
			s := r.session(nil)
			var told session.SubscribeResult
			require.NoError(t,
				s.Subscribe(t.Context(),
					session.SubscribeRequest{
						Channel:    c.channel,
						Subscriber: &fakeSubscriber{},
						Positioned: c.positioned,
						Since:      c.since,
					},
					func(x session.SubscribeResult) { told = x }))
			require.Equal(t, c.want, told.Positioned)
			require.Equal(t, c.recovered, told.Recovered)
			if c.want {
				require.Equal(t, top.Position, told.Position)
			}
			if c.recovered {
				require.Len(t, told.Publications, 1)
			} else {
				require.Empty(t, told.Publications)
			}
			s.Close()
		})
	}
}

// A subscriber of a cache gets the latest publication, and is not refused where there is none.
func TestSubscribeRecoversTheLatest(t *testing.T) {
	r := newHarness(t)
	subscribe := func(since *broker.Position) (told session.SubscribeResult) {
		s := r.session(nil)
		defer s.Close()
		request := to("state:a")
		request.Since, request.RequireComplete = since, true
		require.NoError(t, s.Subscribe(t.Context(), request, func(x session.SubscribeResult) { told = x }))
		return told
	}
	told := subscribe(&broker.Position{})
	require.False(t, told.Recovered)
	require.Empty(t, told.Publications)
	require.NotEmpty(t, told.Epoch)
	for _, data := range []string{"1", "2", "3"} {
		_, err := r.broker.Publish(t.Context(), "state:a", broker.Publication{Data: []byte(data)},
			broker.PublishOptions{History: r.Hub.Rule("state:a").History})
		require.NoError(t, err)
	}
	for offset := range uint64(5) {
		told = subscribe(&broker.Position{Offset: offset, Epoch: told.Epoch})
		require.True(t, told.Recovered)
		require.Equal(t, uint64(3), told.Offset)
		if offset == 3 {
			require.Empty(t, told.Publications, "it has the latest")
			continue
		}
		require.Len(t, told.Publications, 1)
		require.Equal(t, "3", string(told.Publications[0].Data))
	}
}

// RequireComplete makes no subscription, not even for a moment, where something is missing.
func TestSubscribeRequireComplete(t *testing.T) {
	for name, c := range map[string]struct {
		channel string
		since   func(top broker.Position) *broker.Position
		want    error
	}{
		"all is there": {"kept:a",
			func(top broker.Position) *broker.Position { return &broker.Position{Epoch: top.Epoch} }, nil},
		"nothing was had": {"kept:a", func(broker.Position) *broker.Position { return nil }, nil},
		"another epoch": {"kept:a", func(broker.Position) *broker.Position { return &broker.Position{Epoch: "x"} },
			broker.ErrUnrecoverable},
		"beyond the end": {"kept:a",
			func(top broker.Position) *broker.Position { return &broker.Position{Offset: 9, Epoch: top.Epoch} },
			broker.ErrUnrecoverable},
		"another epoch of a cache": {"state:a",
			func(broker.Position) *broker.Position { return &broker.Position{Epoch: "x", Offset: 9} }, nil},
		"without recovery": {"history:a", func(top broker.Position) *broker.Position { return &top },
			broker.ErrUnrecoverable},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			publish := func() broker.Position {
				got, err := r.broker.Publish(t.Context(), c.channel, broker.Publication{Data: []byte("x")},
					broker.PublishOptions{History: r.Hub.Rule(c.channel).History})
				require.NoError(t, err)
				return got.Position
			}
			since := c.since(publish())
			s, m, told := r.session(nil), &fakeSubscriber{}, false
			request := session.SubscribeRequest{
				Channel:         c.channel,
				Subscriber:      m,
				RequireComplete: true,
				Positioned:      true,
				Since:           since,
			}
			require.ErrorIs(t, s.Subscribe(t.Context(), request, func(session.SubscribeResult) { told = true }), c.want)
			require.Equal(t, c.want == nil, told)
			publish()
			if c.want == nil {
				require.Equal(t, 1, m.count())
			} else {
				require.Zero(t, m.count())
				require.Empty(t, s.Channels())
			}
			s.Close()
		})
	}
}

func TestSubscribeVerifiesTokens(t *testing.T) {
	r := newHarness(t)
	r.tokens.subscriptions["good"] = &auth.SubscriptionClaims{
		User:    "ann",
		Channel: "closed:a",
		Info:    []byte(`{"role":1}`),
		Allow:   []auth.Permission{auth.Publish},
	}
	r.tokens.errors["old"] = fmt.Errorf("%w: it was good", auth.ErrExpired)
	r.tokens.errors["away"] = fmt.Errorf("%w: no keys", auth.ErrUnavailable)
	r.tokens.errors["off"] = auth.ErrOff
	ann := &auth.Claims{User: "ann", Info: []byte(`{"name":1}`)}
	for name, c := range map[string]struct {
		client         *auth.Claims
		channel, token string
		want           error
	}{
		"none":            {ann, "closed:a", "", session.ErrNotAllowed},
		"good":            {ann, "closed:a", "good", nil},
		"another user":    {&auth.Claims{User: "bob"}, "closed:a", "good", session.ErrInvalidToken},
		"anonymous":       {nil, "closed:a", "good", session.ErrInvalidToken},
		"another channel": {ann, "closed:b", "good", session.ErrInvalidToken},
		"not needed, bad": {ann, "open", "forged", session.ErrInvalidToken},
		"expired":         {ann, "closed:a", "old", session.ErrExpiredToken},
		"no keys":         {ann, "closed:a", "away", auth.ErrUnavailable},
		"no tokens here":  {ann, "closed:a", "off", session.ErrInvalidToken},
	} {
		t.Run(name, func(t *testing.T) {
			s := r.session(c.client)
			err := s.Subscribe(t.Context(),
				session.SubscribeRequest{Channel: c.channel, Subscriber: &fakeSubscriber{}, Token: c.token}, ignore)
			require.ErrorIs(t, err, c.want)
			if c.want == nil {
				require.Equal(t,
					broker.ClientInfo{
						Client:   c1.String(),
						User:     "ann",
						ConnInfo: []byte(`{"name":1}`),
						ChanInfo: []byte(`{"role":1}`),
					},
					s.PublisherInfo(c.channel))
			} else {
				require.Empty(t, s.Channels())
			}
			s.Close()
		})
	}
	s := r.session(nil)
	require.NoError(t,
		s.Subscribe(t.Context(),
			session.SubscribeRequest{Channel: "closed:a", Subscriber: &fakeSubscriber{}, ServerSide: true}, ignore),
		"the server needs no permission")
	s.Close()
}

// A subscription that is ended while it begins is undone, and its caller gets ErrSubscriptionEnded.
func TestSubscribeEndedWhileItBegins(t *testing.T) {
	ends := map[string]func(s *session.Session){
		"unsubscribed": func(s *session.Session) { s.Unsubscribe("kept:a") },
		"closed":       func(s *session.Session) { s.Close() },
	}
	for name, end := range ends {
		sign := map[string]string{"unsubscribed": "-", "closed": "~"}[name]
		for when, c := range map[string]struct {
			hold func(r *harness, during func())
			log  string
		}{
			"while the broker subscribes": {func(r *harness, during func()) {
				r.broker.holdConfirmations()
				go func() {
					synctest.Wait()
					during()
					r.broker.confirm()
				}()
			}, ""},
			"while it is made present": {func(r *harness, during func()) {
				r.presence.during = func(context.Context) error { during(); return nil }
			}, "+kept:a:c1 xkept:a:c1"},
			"while its stream is read": {func(r *harness, during func()) {
				r.broker.on("history", func(context.Context) error { during(); return nil })
			}, "+kept:a:c1 " + sign + "kept:a:c1 xkept:a:c1"},
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newHarness(t)
					s, m := r.session(nil), &fakeSubscriber{}
					c.hold(r, func() { end(s) })
					err := s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "kept:a", Subscriber: m},
						func(session.SubscribeResult) { t.Error("told") })
					require.ErrorIs(t, err, session.ErrSubscriptionEnded)
					require.Equal(t, c.log, r.presence.read(), "the last word is that nothing came of it")
					require.Empty(t, s.Channels())
					r.Hub.CountSubscribers(func(string, int) { t.Error("a subscriber is left") })
					time.Sleep(2 * time.Second)
					require.Zero(t, r.Hub.Channels(), "and nothing is held")
				})
			})
		}
	}
}

// The backend ends a subscription before it answers the subscribe hook.
func TestSubscribeEndedByItsHook(t *testing.T) {
	for name, end := range map[string]func(s *session.Session){
		"unsubscribed":       func(s *session.Session) { s.Unsubscribe("seen:a") },
		"unsubscribed twice": func(s *session.Session) { s.Unsubscribe("seen:a"); s.Unsubscribe("seen:a") },
		"closed":             func(s *session.Session) { s.Close() },
	} {
		for how, subscribe := range map[string]func(*session.Session) error{
			"subscribe": func(s *session.Session) error {
				return s.Subscribe(t.Context(), to("seen:a"), func(session.SubscribeResult) { t.Error("told") })
			},
			"reserve": func(s *session.Session) error {
				return s.Reserve(t.Context(), session.SubscribeRequest{Channel: "seen:a"})
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				r := newHarness(t)
				asked := r.answering(map[string]string{"subscribe": `{"result":{}}`})
				s := r.session(nil)
				asked.during = func() { end(s) }
				err := subscribe(s)
				require.ErrorIs(t, err, session.ErrSubscriptionEnded)
				require.NotErrorIs(t, err, session.ErrNotSubscribed)
				require.Empty(t, s.Channels())
				require.Empty(t, r.presence.read(), "others never see the client")
				r.Hub.CountSubscribers(func(string, int) { t.Error("the session is still subscribed") })
				s.Close()
			})
		}
	}
}

// A reservation expires, or is ended, before its delivery begins.
func TestAttachAfterTheReservationEnded(t *testing.T) {
	for name, during := range map[string]func(s *session.Session){
		"expired":      func(*session.Session) { time.Sleep(time.Minute) },
		"unsubscribed": func(s *session.Session) { s.Unsubscribe("seen:a") },
		"closed":       func(s *session.Session) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t)
				s := r.session(nil)
				reserved := session.SubscribeRequest{
					Channel:    "seen:a",
					ServerSide: true,
					ExpiresAt:  time.Now().Add(30 * time.Second),
				}
				require.NoError(t, s.Reserve(t.Context(), reserved))
				r.presence.during = func(context.Context) error { during(s); return nil }
				require.ErrorIs(t, s.Attach(t.Context(), "seen:a", &fakeSubscriber{}), session.ErrSubscriptionEnded)
				require.Equal(t, "+seen:a:c1 xseen:a:c1", r.presence.read())
				require.Empty(t, s.Channels())
				s.Close()
				time.Sleep(2 * time.Second)
				require.Zero(t, r.Hub.Channels())
			})
		})
	}
}

// An ended subscription and a later one to the same channel do not take each other's slot.
func TestSubscribeAgainWhileTheFirstIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		r.broker.holdConfirmations()
		s := r.session(nil)
		results := make(chan string, 2)
		subscribe := func(name string) {
			err := s.Subscribe(t.Context(),
				session.SubscribeRequest{Channel: "seen:a", Subscriber: &fakeSubscriber{}, ServerSide: true, Info: []byte(name)},
				func(session.SubscribeResult) { results <- name })
			if err != nil {
				results <- name + ": " + err.Error()
			}
		}
		go subscribe("first")
		synctest.Wait()
		require.True(t, s.Unsubscribe("seen:a"))
		go subscribe("second")
		synctest.Wait()
		r.broker.confirm()
		require.ElementsMatch(t, []string{"first: " + session.ErrSubscriptionEnded.Error(), "second"},
			[]string{<-results, <-results})
		require.Equal(t, "+seen:a:c1second !seen:a:c1", r.presence.read())
		require.Equal(t, "second", string(s.PublisherInfo("seen:a").ChanInfo))
		s.Close()
		time.Sleep(2 * time.Second)
		require.Zero(t, r.Hub.Channels())
	})
}

func TestSubscribeThatFailsLeavesNothingBehind(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		fail func(r *harness)
		want error
		log  string
	}{
		"the broker does not subscribe": {func(r *harness) { r.broker.holdConfirmations() }, broker.ErrUnavailable, ""},
		"it cannot be made present": {
			func(r *harness) { r.presence.during = func(context.Context) error { return down } }, down, ""},
		"its stream cannot be read": {
			func(r *harness) { r.broker.on("history", func(context.Context) error { return down }) }, down,
			"+kept:a:c1 xkept:a:c1"},
		"its stream is read for too long": {func(r *harness) {
			r.broker.on("history", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}, broker.ErrUnavailable, "+kept:a:c1 xkept:a:c1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t)
				c.fail(r)
				s := r.session(nil)
				err := s.Subscribe(t.Context(), to("kept:a"), func(session.SubscribeResult) { t.Error("told") })
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.log, r.presence.read())
				require.Empty(t, s.Channels())
				time.Sleep(10 * time.Second)
				require.Zero(t, r.Hub.Channels())
				r.broker.confirm()
				r.presence.during = nil
				r.broker.on("history", nil)
				require.NoError(t, s.Subscribe(t.Context(), to("kept:a"), ignore), "its place is free")
				s.Close()
			})
		})
	}
}

func TestSubscribeExpires(t *testing.T) {
	for name, c := range map[string]struct {
		in        time.Duration
		renewable bool
		ends      time.Duration
	}{
		"a client's, with time for a new token": {time.Minute, true, time.Minute + 25*time.Second},
		"the server's, at its time":             {time.Minute, false, time.Minute},
		"one that is over":                      {-time.Minute, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t)
				s := r.session(nil)
				ended := make(chan string, 1)
				start := time.Now()
				require.NoError(t, s.Subscribe(t.Context(), session.SubscribeRequest{
					Channel:    "seen:a",
					Subscriber: &fakeSubscriber{},
					ServerSide: true,
					Renewable:  c.renewable,
					ExpiresAt:  start.Add(c.in),
					Expired:    func(name string) { ended <- name },
				}, ignore))
				require.Equal(t, "seen:a", <-ended)
				require.Equal(t, c.ends, time.Since(start))
				require.Empty(t, s.Channels())
				require.Equal(t, "+seen:a:c1 !seen:a:c1 -seen:a:c1", r.presence.read())
			})
		})
	}
}

func TestExpireOfAnEndedSubscriptionEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		s := r.session(nil)
		request := session.SubscribeRequest{
			Channel:    "a",
			Subscriber: &fakeSubscriber{},
			ServerSide: true,
			ExpiresAt:  time.Now().Add(time.Minute),
			Expired:    func(string) { t.Error("told") },
		}
		require.NoError(t, s.Subscribe(t.Context(), request, ignore))
		s.Unsubscribe("a")
		request.ExpiresAt = time.Time{}
		require.NoError(t, s.Subscribe(t.Context(), request, ignore))
		time.Sleep(time.Hour)
		require.Equal(t, []string{"a"}, s.Channels())
		s.Close()
	})
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		start := time.Now()
		ticket := func(left time.Duration, info string, allow ...auth.Permission) *auth.SubscriptionClaims {
			c := &auth.SubscriptionClaims{Channel: "nobody:a", Info: []byte(info), Allow: allow}
			if left != 0 {
				c.ExpiresAt = start.Add(left)
			}
			return c
		}
		r.tokens.subscriptions["first"] = ticket(time.Minute, `"first"`, auth.Publish)
		r.tokens.subscriptions["second"] = ticket(2*time.Minute, `"second"`)
		r.tokens.subscriptions["silent"] = ticket(3*time.Minute, ``, auth.Publish)
		r.tokens.subscriptions["endless"] = ticket(0, ``)
		r.tokens.errors["old"] = auth.ErrExpired
		s := r.session(nil)
		ended := make(chan string, 1)
		expired := func(name string) { ended <- name }
		require.NoError(t,
			s.Subscribe(t.Context(),
				session.SubscribeRequest{
					Channel:    "nobody:a",
					Subscriber: &fakeSubscriber{},
					Token:      "first",
					Renewable:  true,
					Expired:    expired,
				},
				ignore))
		renew := func(channel, token string) (time.Time, error) {
			return s.Renew(t.Context(), session.RenewRequest{Channel: channel, Token: token, Expired: expired})
		}
		publish := func() error {
			_, err := s.Publish(t.Context(), session.Message{Channel: "nobody:a", Data: []byte("x")})
			return err
		}
		require.NoError(t, publish())

		time.Sleep(time.Minute + 20*time.Second)
		_, err := renew("nobody:a", "old")
		require.ErrorIs(t, err, session.ErrExpiredToken)
		_, err = renew("nobody:a", "forged")
		require.ErrorIs(t, err, session.ErrInvalidToken)
		_, err = renew("elsewhere", "second")
		require.ErrorIs(t, err, session.ErrNotSubscribed)
		at, err := renew("nobody:a", "second")
		require.NoError(t, err)
		require.Equal(t, start.Add(2*time.Minute), at)
		require.ErrorIs(t, publish(), session.ErrNotAllowed, "what the new token says holds")
		require.Equal(t, `"second"`, string(s.PublisherInfo("nobody:a").ChanInfo))

		time.Sleep(time.Minute)
		require.Empty(t, ended)
		_, err = renew("nobody:a", "silent")
		require.NoError(t, err)
		require.NoError(t, publish())
		require.Equal(t, `"second"`, string(s.PublisherInfo("nobody:a").ChanInfo))

		time.Sleep(time.Minute)
		at, err = renew("nobody:a", "endless")
		require.NoError(t, err)
		require.True(t, at.IsZero())
		time.Sleep(time.Hour)
		require.Empty(t, ended)
		_, err = renew("nobody:a", "first")
		require.NoError(t, err, "the list does not look at the time")
		require.Equal(t, "nobody:a", <-ended)
		require.Empty(t, s.Channels())
	})
}

// A revocation is of all of a user's tokens, subscription tokens included.
func TestSubscribeRefusesRevokedTokens(t *testing.T) {
	for name, c := range map[string]struct {
		issued, revoked time.Time
		away            bool
		want            error
	}{
		"never":               {issued: moment},
		"before":              {issued: moment, revoked: moment.Add(-time.Second)},
		"in the same second":  {issued: moment, revoked: moment, want: session.ErrInvalidToken},
		"later":               {issued: moment, revoked: moment.Add(time.Second), want: session.ErrInvalidToken},
		"of an unknown time":  {revoked: moment, want: session.ErrInvalidToken},
		"the broker is away":  {issued: moment, away: true, want: broker.ErrUnavailable},
		"no time, no revoker": {},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.tokens.subscriptions["good"] = &auth.SubscriptionClaims{
				User:     "ann",
				Channel:  "closed:a",
				IssuedAt: moment.Add(time.Hour),
			}
			r.tokens.subscriptions["asked"] = &auth.SubscriptionClaims{User: "ann", Channel: "closed:a", IssuedAt: c.issued}
			if !c.revoked.IsZero() {
				require.NoError(t, r.broker.Revoke(t.Context(), "ann", c.revoked))
			}
			s := r.session(&auth.Claims{User: "ann"})
			defer s.Close()
			subscribe := func(token string) error {
				return s.Subscribe(t.Context(),
					session.SubscribeRequest{Channel: "closed:a", Subscriber: &fakeSubscriber{}, Token: token}, ignore)
			}
			require.NoError(t, subscribe("good"))
			if c.away {
				r.broker.on("revoked", func(context.Context) error { return broker.ErrUnavailable })
			}
			_, err := s.Renew(t.Context(), session.RenewRequest{Channel: "closed:a", Token: "asked"})
			require.ErrorIs(t, err, c.want)
			require.Equal(t, []string{"closed:a"}, s.Channels(), "it lasts as long as its own token")
			require.True(t, s.Unsubscribe("closed:a"))
			require.ErrorIs(t, subscribe("asked"), c.want)
		})
	}
}

// No renewal moves the end that the subscribe hook set.
func TestRenewKeepsTheHooksEnd(t *testing.T) {
	end := time.Unix(4_000_000_000, 0)
	for name, c := range map[string]struct {
		answer string
		// first and second are the ends of the tokens, told and renewed those that the client learns.
		first, second, told, renewed time.Time
	}{
		"both later":        {`{"expire_at":4000000000}`, end.Add(time.Hour), end.Add(2 * time.Hour), end, end},
		"none":              {`{"expire_at":4000000000}`, time.Time{}, time.Time{}, end, end},
		"earlier, then not": {`{"expire_at":4000000000}`, end.Add(-time.Hour), end.Add(time.Hour), end.Add(-time.Hour), end},
		"later, then not":   {`{"expire_at":4000000000}`, end.Add(time.Hour), end.Add(-time.Hour), end, end.Add(-time.Hour)},
		"no end set":        {`{}`, end, end.Add(time.Hour), end, end.Add(time.Hour)},
		"no end at all":     {`{"info":1}`, time.Time{}, time.Time{}, time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.answering(map[string]string{"subscribe": `{"result":` + c.answer + `}`})
			r.tokens.subscriptions["first"] = &auth.SubscriptionClaims{Channel: "closed:a", ExpiresAt: c.first}
			r.tokens.subscriptions["second"] = &auth.SubscriptionClaims{Channel: "closed:a", ExpiresAt: c.second}
			s := r.session(nil)
			defer s.Close()
			var told session.SubscribeResult
			request := session.SubscribeRequest{
				Channel:    "closed:a",
				Subscriber: &fakeSubscriber{},
				Token:      "first",
				Renewable:  true,
			}
			require.NoError(t, s.Subscribe(t.Context(), request, func(x session.SubscribeResult) { told = x }))
			require.Equal(t, c.told, told.ExpiresAt)
			for range 2 {
				at, err := s.Renew(t.Context(), session.RenewRequest{Channel: "closed:a", Token: "second"})
				require.NoError(t, err)
				require.Equal(t, c.renewed, at)
			}
		})
	}
	// The same holds for a subscription that began without a token.
	r := newHarness(t)
	r.answering(map[string]string{"subscribe": `{"result":{"expire_at":4000000000}}`})
	r.tokens.subscriptions["first"] = &auth.SubscriptionClaims{Channel: "a"}
	s := r.session(nil)
	defer s.Close()
	require.NoError(t,
		s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "a", Subscriber: &fakeSubscriber{}, Renewable: true},
			ignore))
	at, err := s.Renew(t.Context(), session.RenewRequest{Channel: "a", Token: "first"})
	require.NoError(t, err)
	require.Equal(t, end, at)
}

func TestSubscribeAppliesTheSubscribeHook(t *testing.T) {
	r := newHarness(t)
	asked := r.answering(map[string]string{
		"subscribe": `{"result":{"info":{"seat":3},"data":{"topic":1},"expire_at":4000000000}}`,
	})
	s := r.session(&auth.Claims{User: "ann"})
	var told session.SubscribeResult
	require.NoError(t,
		s.Subscribe(t.Context(),
			session.SubscribeRequest{
				Channel:    "a",
				Subscriber: &fakeSubscriber{},
				Protocol:   "json",
				Data:       hooks.Payload{Bytes: []byte(`{"x":1}`)},
			},
			func(x session.SubscribeResult) { told = x }))
	require.Equal(t, `{"topic":1}`, string(told.Data.Bytes))
	require.Zero(t, told.ExpiresAt, "the client has no token that it could replace")
	require.Equal(t, `{"seat":3}`, string(s.PublisherInfo("a").ChanInfo))
	require.Len(t, asked.all(), 1)
	for _, part := range []string{`"client":"` + c1.String() + `"`, `"user":"ann"`, `"channel":"a"`, `"data":{"x":1}`} {
		require.Contains(t, asked.all()[0], part)
	}
	require.ErrorIs(t, s.Subscribe(t.Context(), to("a"), ignore), session.ErrSubscribed)
	require.ErrorIs(t, s.Subscribe(t.Context(), to("closed:a"), ignore), session.ErrNotAllowed)
	require.NoError(t,
		s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "b", Subscriber: &fakeSubscriber{}, ServerSide: true},
			ignore))
	require.Len(t, asked.all(), 1, "no hook call for what is impossible or server-side")
	s.Close()

	for answer, want := range map[string]any{
		`{"error":{"code":403,"message":"not yours"}}`:            new(*hooks.Error),
		`{"disconnect":{"code":4001,"reason":"banned"}}`:          new(*hooks.Disconnect),
		`{"result":{"info":"` + strings.Repeat("x", 5000) + `"}}`: nil,
	} {
		r.answering(map[string]string{"subscribe": answer})
		s := r.session(nil)
		err := s.Subscribe(t.Context(), to("a"), ignore)
		if want == nil {
			require.ErrorIs(t, err, session.ErrInfoTooLarge)
		} else {
			require.ErrorAs(t, err, want)
		}
		require.Empty(t, s.Channels())
	}
}

// The subscribe hook is asked about channels that the handshake reserves.
func TestReserveAndAttach(t *testing.T) {
	r := newHarness(t)
	asked := r.answering(map[string]string{"subscribe": `{"result":{"info":{"seat":3}}}`})
	s, m := r.session(nil), &fakeSubscriber{}
	require.NoError(t, s.Reserve(t.Context(), session.SubscribeRequest{Channel: "seen:a", Protocol: "plain"}))
	require.NoError(t,
		s.Reserve(t.Context(), session.SubscribeRequest{Channel: "seen:b", Protocol: "plain", ServerSide: true}))
	require.Len(t, asked.all(), 1)
	require.Contains(t, asked.all()[0], `"protocol":"plain"`)
	require.ErrorIs(t, s.Reserve(t.Context(), session.SubscribeRequest{Channel: "seen:a"}), session.ErrSubscribed)
	require.ErrorIs(t, s.Reserve(t.Context(), session.SubscribeRequest{Channel: "closed:a"}), session.ErrNotAllowed)
	require.Equal(t, []string{"seen:a", "seen:b"}, s.Channels())
	require.Empty(t, r.presence.read(), "the client is not in presence yet")
	_, present := s.ClientInfo("seen:a")
	require.False(t, present)

	require.NoError(t, s.Attach(t.Context(), "seen:a", m))
	require.Equal(t, `+seen:a:c1{"seat":3} !seen:a:c1`, r.presence.read())
	_, present = s.ClientInfo("seen:a")
	require.True(t, present)
	require.ErrorIs(t, s.Attach(t.Context(), "elsewhere", m), session.ErrNotSubscribed)
	s.Close()
	require.Equal(t, `~seen:a:c1{"seat":3}`, r.presence.read(), "a channel that was not attached has no presence")

	r.answering(map[string]string{"subscribe": `{"error":{"code":403,"message":"not yours"}}`})
	refused := r.session(nil)
	require.Error(t, refused.Reserve(t.Context(), session.SubscribeRequest{Channel: "a"}))
	require.Empty(t, refused.Channels())
}

func TestReserveExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		s := r.session(nil)
		require.NoError(t,
			s.Reserve(t.Context(),
				session.SubscribeRequest{Channel: "a", ServerSide: true, ExpiresAt: time.Now().Add(time.Minute)}))
		require.NoError(t, s.Attach(t.Context(), "a", &fakeSubscriber{}))
		time.Sleep(59 * time.Second)
		require.Len(t, s.Channels(), 1)
		time.Sleep(2 * time.Second)
		require.Empty(t, s.Channels())
	})
}

func TestEndInsufficient(t *testing.T) {
	for _, serverSide := range []bool{true, false} {
		r := newHarness(t)
		s, m := r.session(nil), &fakeSubscriber{}
		require.NoError(t,
			s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "kept:a", Subscriber: m, ServerSide: serverSide}, ignore))
		_ = r.presence.read()
		require.NoError(t, r.broker.EndEpoch(t.Context(), "kept:a"))
		_, err := r.broker.Publish(t.Context(), "kept:a", broker.Publication{Data: []byte("x")},
			broker.PublishOptions{History: channel.History{Size: 5, TTL: channel.Duration(time.Minute)}})
		require.NoError(t, err)
		require.Len(t, m.lost, 1, "the stream is another one")

		server, lost := s.EndInsufficient(m.lost[0])
		require.True(t, lost)
		require.Equal(t, serverSide, server)
		require.Equal(t, "~kept:a:c1", r.presence.read(), "it will be back")
		_, lost = s.EndInsufficient(m.lost[0])
		require.False(t, lost)
		require.NoError(t, s.Subscribe(t.Context(), session.SubscribeRequest{Channel: "kept:a", Subscriber: m}, ignore))
		_, lost = s.EndInsufficient(m.lost[0])
		require.False(t, lost, "it is another subscription")
		s.Close()
	}
}

// A client gets more than a small share of what an answer may hold only when it may. The backend is asked once.
func TestSessionSubscribeAwaitsTheTurnOfLargeRecoveries(t *testing.T) {
	size := broker.Size(broker.Publication{Data: []byte("1")})
	for name, c := range map[string]struct {
		channel   string
		missed    int
		turn      error
		turns     int
		recovered int
	}{
		"small":               {missed: 2},
		"the latest":          {channel: "state:a", missed: 3, recovered: 1},
		"large":               {missed: 3, turns: 1},
		"large, and it left":  {missed: 3, turns: 1, turn: errors.New("gone")},
		"nothing":             {},
		"as much as there is": {missed: 20, turns: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.MaxHistoryBytes = 2 * 128 * size
			asked := r.answering(map[string]string{"subscribe": `{"result":{}}`})
			name, recovered := cmp.Or(c.channel, "kept:a"), cmp.Or(c.recovered, c.missed)
			rule := r.Hub.Rule(name)
			for range c.missed {
				_, err := r.Broker.Publish(t.Context(), name, broker.Publication{Data: []byte("1")},
					broker.PublishOptions{History: rule.History})
				require.NoError(t, err)
			}
			s := r.session(nil)
			defer s.Close()
			request, turns, released, begun := to(name), 0, 0, 0
			request.Since = &broker.Position{}
			request.LargeTurn = func() (func(), error) {
				turns++
				return func() { released++ }, c.turn
			}
			err := s.Subscribe(t.Context(), request, func(result session.SubscribeResult) {
				begun++
				require.Zero(t, released, "the answer comes before the end of the turn")
				require.Len(t, result.Publications, recovered)
				require.True(t, result.Recovered)
			})
			require.Equal(t, c.turn, err)
			require.Equal(t, c.turns, turns)
			require.Len(t, asked.all(), 1)
			if c.turn == nil {
				require.Equal(t, 1, begun)
				require.Equal(t, turns, released)
			}
		})
	}
}
