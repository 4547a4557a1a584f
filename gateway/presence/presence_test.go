package presence_test

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

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/presence"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ttl   = time.Minute
	grace = 15 * time.Second
	room  = "room"
	// silent keeps presence and tells nobody.
	silent = "silent"
)

// meddler is a broker whose calls a test can hold up or let fail.
type meddler struct {
	*memory.Broker

	mu sync.Mutex
	// before runs before a call, by its name; its error is the call's.
	before map[string]func() error
	// after runs when a call is done.
	after map[string]func()
}

func (b *meddler) on(call string, before func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before[call] = before
}

func (b *meddler) onEnd(call string, after func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.after[call] = after
}

func (b *meddler) begin(call string) error {
	b.mu.Lock()
	f := b.before[call]
	b.mu.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

func (b *meddler) end(call string) {
	b.mu.Lock()
	f := b.after[call]
	b.mu.Unlock()
	if f != nil {
		f()
	}
}

// Join implements broker.Presence.
func (b *meddler) Join(ctx context.Context, channel string, m broker.ClientInfo, ttl time.Duration) (bool, []broker.ClientInfo, error) {
	if err := b.begin("join"); err != nil {
		return false, nil, err
	}
	fresh, gone, err := b.Broker.Join(ctx, channel, m, ttl)
	return fresh, gone, errors.Join(err, b.begin("answer to join"))
}

// Leave implements broker.Presence.
func (b *meddler) Leave(ctx context.Context, channel string, m broker.ClientInfo, grace time.Duration) (bool, []broker.ClientInfo, error) {
	if err := b.begin("leave"); err != nil {
		return false, nil, err
	}
	return b.Broker.Leave(ctx, channel, m, grace)
}

// Renew implements broker.Presence.
func (b *meddler) Renew(ctx context.Context, channel string, clients []string, ttl time.Duration) ([]string, []broker.ClientInfo, error) {
	if err := b.begin("renew"); err != nil {
		return nil, nil, err
	}
	missing, gone, err := b.Broker.Renew(ctx, channel, clients, ttl)
	b.end("renew")
	return missing, gone, err
}

// Sweep implements broker.Presence.
func (b *meddler) Sweep(ctx context.Context, channel string) ([]broker.ClientInfo, error) {
	if err := b.begin("sweep"); err != nil {
		return nil, err
	}
	return b.Broker.Sweep(ctx, channel)
}

// rig is a keeper with what it needs. It writes down what channels are told.
type rig struct {
	*presence.Keeper
	t      *testing.T
	broker *meddler
	hub    *hub.Hub
	stop   context.CancelFunc
	ended  chan error

	mu   sync.Mutex
	told []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, ended: make(chan error, 1), stop: func() {}}
	r.broker = &meddler{
		Broker: memory.New(memory.Options{}), before: map[string]func() error{}, after: map[string]func(){},
	}
	r.hub = hub.New(hub.Options{Broker: r.broker, Logger: slog.New(slog.DiscardHandler), Rules: channel.Rules{
		{Pattern: room, Presence: true, JoinLeave: true}, {Pattern: silent, Presence: true},
	}})
	brokertest.Connect(r.broker, r)
	r.Keeper = presence.New(presence.Options{Broker: r.broker, Hub: r.hub, TTL: ttl, Grace: grace, Logger: slog.New(slog.DiscardHandler)})
	return r
}

// run lets the keeper work until the test ends it.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- r.Run(ctx) }()
}

func (r *rig) end() {
	r.t.Helper()
	r.stop()
	require.NoError(r.t, <-r.ended)
}

// Resumed implements broker.PublicationHandler.
func (r *rig) Resumed(string) {}

// Deliver implements broker.PublicationHandler.
func (r *rig) Deliver(_ string, p broker.Publication) {
	r.mu.Lock()
	defer r.mu.Unlock()
	word := map[broker.Kind]string{broker.KindJoin: "+", broker.KindLeave: "-"}[p.Kind]
	r.told = append(r.told, word+p.Info.Client)
}

// heard is what channels were told since the last time.
func (r *rig) heard() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := strings.Join(r.told, " ")
	r.told = nil
	return told
}

func (r *rig) members(channel string) string {
	r.t.Helper()
	members, err := r.broker.Members(r.t.Context(), channel, 0)
	require.NoError(r.t, err)
	return strings.Join(slices.Sorted(maps.Keys(members)), " ")
}

// info of c1/ann is the client c1 of the user ann.
func info(who string) broker.ClientInfo {
	client, user, _ := strings.Cut(who, "/")
	return broker.ClientInfo{Client: client, User: user}
}

func (r *rig) join(who string) {
	r.t.Helper()
	r.come(who)(true)
}

// come makes somebody present for something that has yet to begin.
func (r *rig) come(who string) (settle func(begun bool)) {
	r.t.Helper()
	settle, err := r.Join(r.t.Context(), room, info(who))
	require.NoError(r.t, err)
	return settle
}

func TestChannelsAreToldOnceWhoComesAndGoes(t *testing.T) {
	for name, c := range map[string]struct {
		steps         string
		told, members string
	}{
		"comes and goes":                           {"join c1/ann; leave c1/ann", "+c1 -c1", ""},
		"comes twice":                              {"join c1/ann; join c1/ann", "+c1", "c1"},
		"goes twice":                               {"join c1/ann; leave c1/ann; leave c1/ann", "+c1 -c1", ""},
		"was never there":                          {"leave c1/ann; lose c1/ann; wait 20s", "", ""},
		"is lost, within the grace":                {"join c1/ann; lose c1/ann; wait 14s", "+c1", "c1"},
		"is lost, after the grace":                 {"join c1/ann; lose c1/ann; wait 16s", "+c1 -c1", ""},
		"is lost, long after the grace":            {"join c1/ann; lose c1/ann; wait 10m", "+c1 -c1", ""},
		"user is back in time":                     {"join c1/ann; lose c1/ann; wait 14s; join c2/ann; wait 40s", "+c1", "c2"},
		"user is back too late":                    {"join c1/ann; lose c1/ann; wait 16s; join c2/ann", "+c1 -c1 +c2", "c2"},
		"another user comes":                       {"join c1/ann; lose c1/ann; join c2/bob; wait 16s", "+c1 +c2 -c1", "c2"},
		"nobody in particular leaves at once":      {"join c1/; lose c1/", "+c1 -c1", ""},
		"nobody in particular is never waited for": {"join c1/; lose c1/; join c2/", "+c1 -c1 +c2", "c2"},
		"two tabs, one lost":                       {"join c1/ann; join c2/ann; lose c1/ann; wait 16s", "+c1 +c2 -c1", "c2"},
		"two tabs, one reloads":                    {"join c1/ann; join c2/ann; lose c1/ann; join c3/ann; wait 40s", "+c1 +c2", "c2 c3"},
		"two tabs lost, one back":                  {"join c1/ann; join c2/ann; lose c1/ann; wait 1s; lose c2/ann; wait 1s; join c3/ann; wait 16s", "+c1 +c2 -c2", "c3"},
		"the same connection is back":              {"join c1/ann; lose c1/ann; wait 1s; join c1/ann; wait 40s", "+c1", "c1"},
		"unsubscribes during the grace":            {"join c1/ann; lose c1/ann; wait 1s; leave c1/ann", "+c1 -c1", ""},
		"gateway is gone":                          {"join c1/ann; wait 61s; join c2/bob", "+c1 +c2 -c1", "c2"},
		"comes, and waits":                         {"come c1/ann; wait 20s", "", "c1"},
		"comes, and is let in":                     {"come c1/ann; wait 2s; begin c1", "+c1", "c1"},
		"comes, and is turned back":                {"come c1/ann; fail c1", "", ""},
		"is turned back, nobody in particular":     {"come c1/; fail c1", "", ""},
		"is turned back, and comes again":          {"come c1/ann; fail c1; join c1/ann", "+c1", "c1"},
		"leaves before it is let in":               {"come c1/ann; leave c1/ann; begin c1", "+c1 -c1", ""},
		"is lost before it is let in":              {"come c1/ann; lose c1/ann; begin c1; wait 16s", "+c1 -c1", ""},
		"leaves before it is turned back":          {"come c1/ann; leave c1/ann; fail c1", "", ""},
		"is lost before it is turned back":         {"come c1/ann; lose c1/ann; fail c1; wait 16s", "", ""},
		"leaves after it was turned back":          {"come c1/ann; fail c1; leave c1/ann; lose c1/ann; wait 16s", "", ""},
		"user is back, and turned back":            {"join c1/ann; lose c1/ann; wait 1s; come c2/ann; fail c2; wait 14s; join c3/ann", "+c1", "c3"},
		"user is back, turned back, and gone":      {"join c1/ann; lose c1/ann; wait 1s; come c2/ann; fail c2; wait 16s", "+c1 -c2", ""},
		"user is back, and leaves before":          {"join c1/ann; lose c1/ann; wait 1s; come c2/ann; leave c2/ann; fail c2", "+c1 -c2", ""},
		"user is back, and is let in":              {"join c1/ann; lose c1/ann; wait 1s; come c2/ann; begin c2; wait 40s", "+c1", "c2"},
		"who is turned back tells who is gone":     {"join c1/ann; wait 61s; come c2/bob; fail c2", "+c1 -c1", ""},
		"one is let in, one turned back":           {"come c1/ann; come c2/bob; fail c1; begin c2", "+c2", "c2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.run()
				settles := map[string]func(begun bool){}
				for step := range strings.SplitSeq(c.steps, "; ") {
					verb, object, _ := strings.Cut(step, " ")
					switch verb {
					case "join":
						r.join(object)
					case "come":
						settles[info(object).Client] = r.come(object)
					case "begin", "fail":
						settles[object](verb == "begin")
					case "leave", "lose":
						r.Leave(room, info(object), verb == "leave")
					case "wait":
						d, err := time.ParseDuration(object)
						require.NoError(t, err)
						time.Sleep(d)
					}
					synctest.Wait()
				}
				require.Equal(t, c.told, r.heard())
				require.Equal(t, c.members, r.members(room))
				r.end()
			})
		})
	}
}

func TestChannelsWithoutJoinLeaveAreToldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		settle, err := r.Join(t.Context(), silent, info("c1/ann"))
		require.NoError(t, err)
		settle(true)
		require.Equal(t, "c1", r.members(silent))
		r.Leave(silent, info("c1/ann"), true)
		synctest.Wait()
		require.Empty(t, r.members(silent))
		require.Empty(t, r.heard())
		r.end()
	})
}

// A client that unsubscribes and subscribes again must not be taken out by its own leave.
func TestWhoComesBackAtOnceStays(t *testing.T) {
	t.Run("before its leave has begun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.join("c1/ann")
			r.Leave(room, info("c1/ann"), true)
			r.Leave(room, info("c2/bob"), true)
			r.join("c1/ann")
			r.run()
			synctest.Wait()
			require.Equal(t, "+c1", r.heard(), "it never left")
			require.Equal(t, "c1", r.members(room))
			r.Leave(room, info("c1/ann"), true)
			synctest.Wait()
			require.Equal(t, "-c1", r.heard(), "and can still leave")
			r.end()
		})
	})
	t.Run("during its leave", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.run()
			r.join("c1/ann")
			leaving := make(chan struct{})
			r.broker.on("leave", func() error { <-leaving; return nil })
			r.Leave(room, info("c1/ann"), true)
			synctest.Wait()
			joined := make(chan struct{})
			go func() {
				defer close(joined)
				r.join("c1/ann")
			}()
			synctest.Wait()
			require.Equal(t, "+c1", r.heard())
			close(leaving)
			<-joined
			synctest.Wait()
			require.Equal(t, "-c1 +c1", r.heard())
			require.Equal(t, "c1", r.members(room))
			r.end()
		})
	})
	t.Run("and does not wait for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.run()
			leaving := make(chan struct{})
			r.broker.on("leave", func() error { <-leaving; return nil })
			r.Leave(room, info("c1/ann"), true)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := r.Join(ctx, room, info("c1/ann"))
			require.ErrorIs(t, err, broker.ErrUnavailable)
			r.join("c2/bob")
			require.Equal(t, "+c2", r.heard(), "others are not held up")
			close(leaving)
			r.end()
		})
	})
}

// Whoever left for good before is not waited for because of a second, lesser leave.
func TestTheShorterGraceCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.join("c1/ann")
		r.Leave(room, info("c1/ann"), true)
		r.Leave(room, info("c1/ann"), false)
		r.run()
		synctest.Wait()
		require.Equal(t, "+c1 -c1", r.heard())
		r.end()
	})
}

// Neither of its coming nor of its going, whether the broker has heard of it or not.
func TestWhoCannotJoinIsNotToldOf(t *testing.T) {
	for _, call := range []string{"join", "answer to join"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.run()
				down := errors.New("down")
				r.broker.on(call, func() error { return down })
				_, err := r.Join(t.Context(), room, info("c1/ann"))
				require.ErrorIs(t, err, down)
				synctest.Wait()
				require.Empty(t, r.heard())
				require.Empty(t, r.members(room))
				r.broker.on(call, nil)
				r.join("c1/ann")
				require.Equal(t, "+c1", r.heard(), "and can still come")
				r.end()
			})
		})
	}
}

// Whose leave is taken back by who is then turned back leaves all the same: others know it.
func TestALeaveThatIsTakenBackInVain(t *testing.T) {
	for name, fail := range map[string]func(r *rig){
		"turned back": func(r *rig) { r.come("c1/ann")(false) },
		"not joined": func(r *rig) {
			r.broker.on("join", func() error { return broker.ErrUnavailable })
			_, err := r.Join(r.t.Context(), room, info("c1/ann"))
			require.ErrorIs(r.t, err, broker.ErrUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.join("c1/ann")
				r.Leave(room, info("c1/ann"), true)
				fail(r)
				r.run()
				synctest.Wait()
				require.Equal(t, "+c1 -c1", r.heard())
				require.Empty(t, r.members(room))
				r.end()
			})
		})
	}
}

// Who was turned back may be a member still when it comes again, but nobody knows it.
func TestWhoComesAgainBeforeItIsTakenOut(t *testing.T) {
	for _, begun := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.come("c1/ann")(false)
			r.come("c1/ann")(begun)
			r.run()
			synctest.Wait()
			if begun {
				require.Equal(t, "+c1", r.heard())
				require.Equal(t, "c1", r.members(room))
			} else {
				require.Empty(t, r.heard())
				require.Empty(t, r.members(room))
			}
			r.end()
		})
	}
}

// Whoever leaves while it comes waits for that, and nobody else does.
func TestSlowArrivalsHoldNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.join("c0/ann")
		var settles []func(begun bool)
		for i := range 100 {
			who := fmt.Sprintf("slow%d/bob", i)
			settles = append(settles, r.come(who))
			r.Leave(room, info(who), true)
		}
		r.Leave(room, info("c0/ann"), true)
		synctest.Wait()
		require.Equal(t, "+c0 -c0", r.heard())
		for _, settle := range settles {
			settle(true)
		}
		require.NoError(t, r.Flush(t.Context()))
		require.Empty(t, r.members(room))
		require.Len(t, strings.Fields(r.heard()), 200)
		r.end()
	})
}

// visible is a subscriber that others see, until it has left.
type visible struct {
	broker.ClientInfo
	mu   sync.Mutex
	left bool
}

func (v *visible) PresenceInfo(string) (broker.ClientInfo, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ClientInfo, !v.left
}

func (v *visible) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.left = true
}

func (v *visible) Encoder() hub.Encoder                { return &deaf{} }
func (v *visible) Send(transport.Frame) bool           { return true }
func (v *visible) InsufficientState(*hub.Subscription) {}

// deaf is an encoder whose clients hear nothing.
type deaf struct{}

func (*deaf) Encode(string, broker.Publication) (transport.Frame, error) {
	return transport.Frame{}, nil
}

// subscribe makes somebody a member whom the keeper has to renew.
func (r *rig) subscribe(who string) *visible {
	r.t.Helper()
	v := &visible{ClientInfo: info(who)}
	hold, err := r.hub.Subscribe(r.t.Context(), room)
	require.NoError(r.t, err)
	r.t.Cleanup(hold.Release)
	hold.Attach(v, hub.AttachOptions{InPresence: true}, nil)
	r.join(who)
	return v
}

func TestMembersAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.subscribe("c1/ann")
		time.Sleep(10 * ttl)
		require.Equal(t, "c1", r.members(room))
		require.Equal(t, "+c1", r.heard())
		r.end()
	})
}

func TestRenewalsBringBackWhomTheBrokerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		var want []string
		for i := range 600 {
			who := fmt.Sprintf("c%03d", i)
			want = append(want, who)
			r.subscribe(who + "/ann")
		}
		_ = r.heard()
		for _, who := range want {
			_, _, err := r.broker.Broker.Leave(t.Context(), room, info(who), 0)
			require.NoError(t, err)
		}
		require.Empty(t, r.members(room))
		time.Sleep(ttl/3 + time.Second)
		synctest.Wait()
		require.Equal(t, strings.Join(want, " "), r.members(room))
		require.Empty(t, r.heard(), "they were not away for anybody")
		r.end()
	})
}

// A renewal may have seen a member that has left since: it is missing because it left.
func TestRenewalsBringBackNobodyWhoLeft(t *testing.T) {
	for name, said := range map[string]bool{"at once": true, "for the grace": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.run()
				v := r.subscribe("c1/ann")
				r.broker.on("renew", func() error {
					v.leave()
					r.Leave(room, v.ClientInfo, said)
					return r.Flush(t.Context())
				})
				time.Sleep(ttl/3 + grace + 2*time.Second)
				synctest.Wait()
				require.Empty(t, r.members(room))
				require.Equal(t, "+c1 -c1", r.heard())
				r.end()
			})
		})
	}
	t.Run("while it is brought back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.run()
			v := r.subscribe("c1/ann")
			r.broker.onEnd("renew", func() {
				r.broker.on("join", func() error {
					v.leave()
					r.Leave(room, v.ClientInfo, true)
					return nil
				})
			})
			_, _, err := r.broker.Broker.Leave(t.Context(), room, v.ClientInfo, 0)
			require.NoError(t, err)
			time.Sleep(ttl/3 + time.Second)
			synctest.Wait()
			require.Empty(t, r.members(room))
			require.Equal(t, "+c1 -c1", r.heard())
			r.end()
		})
	})
}

// A broker that is away for a moment must not hide for long that somebody left.
func TestSweepsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.join("c1/ann")
		r.Leave(room, info("c1/ann"), false)
		r.broker.on("sweep", func() error { return broker.ErrUnavailable })
		time.Sleep(grace + time.Second)
		require.Equal(t, "+c1", r.heard())
		r.broker.on("sweep", nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, "-c1", r.heard())
		r.end()
	})
}

func TestFlushWaitsForWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		require.NoError(t, r.Flush(t.Context()), "nobody leaves")
		leaving := make(chan struct{})
		r.broker.on("leave", func() error { <-leaving; return nil })
		for i := range 100 {
			who := fmt.Sprintf("c%d/ann", i)
			r.join(who)
			r.Leave(room, info(who), true)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.Flush(ctx), context.DeadlineExceeded)

		flushed := make(chan error, 1)
		go func() { flushed <- r.Flush(t.Context()) }()
		close(leaving)
		require.NoError(t, <-flushed)
		require.Empty(t, r.members(room))
		r.end()
	})
}

func TestFlushAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		synctest.Wait()
		r.stop()
		synctest.Wait()
		r.Leave(room, info("c1/ann"), true)
		require.NoError(t, r.Flush(t.Context()), "nobody is left to do it")
		require.NoError(t, <-r.ended)
	})
}

// A broker that is away is worth a line now and then, and no member's name.
func TestComplaintsNameNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newRig(t)
		r.Keeper = presence.New(presence.Options{Broker: r.broker, Hub: r.hub, TTL: ttl, Grace: grace, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		r.run()
		r.broker.on("leave", func() error { return broker.ErrUnavailable })
		for range 100 {
			r.Leave(room, info("secret-client/secret-user"), true)
			synctest.Wait()
		}
		r.end()
		require.Equal(t, 1, strings.Count(log.String(), "presence is behind"))
		require.NotContains(t, log.String(), "secret")
	})
}
