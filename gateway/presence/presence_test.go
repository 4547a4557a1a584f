package presence_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKeeperPublishesEachJoinAndLeaveOnce(t *testing.T) {
	for name, c := range map[string]struct {
		steps              string
		published, members string
	}{
		"joins and leaves":               {"join c1/ann; leave c1/ann", "+c1 -c1", ""},
		"joins twice":                    {"join c1/ann; join c1/ann", "+c1", "c1"},
		"leaves twice":                   {"join c1/ann; leave c1/ann; leave c1/ann", "+c1 -c1", ""},
		"was never there":                {"leave c1/ann; lose c1/ann; wait 20s", "", ""},
		"is lost, within the grace":      {"join c1/ann; lose c1/ann; wait 14s", "+c1", "c1"},
		"is lost, after the grace":       {"join c1/ann; lose c1/ann; wait 16s", "+c1 -c1", ""},
		"is lost, long after the grace":  {"join c1/ann; lose c1/ann; wait 10m", "+c1 -c1", ""},
		"user is back in time":           {"join c1/ann; lose c1/ann; wait 14s; join c2/ann; wait 40s", "+c1 -c1 +c2", "c2"},
		"user is back too late":          {"join c1/ann; lose c1/ann; wait 16s; join c2/ann", "+c1 -c1 +c2", "c2"},
		"another user joins":             {"join c1/ann; lose c1/ann; join c2/bob; wait 16s", "+c1 +c2 -c1", "c2"},
		"without a user, leaves at once": {"join c1/; lose c1/", "+c1 -c1", ""},
		"without a user, has no grace":   {"join c1/; lose c1/; join c2/", "+c1 -c1 +c2", "c2"},
		"two tabs, one lost":             {"join c1/ann; join c2/ann; lose c1/ann; wait 16s", "+c1 +c2 -c1", "c2"},
		"two tabs, one reloads": {
			"join c1/ann; join c2/ann; lose c1/ann; join c3/ann; wait 40s",
			"+c1 +c2 -c1 +c3", "c2 c3",
		},
		"two tabs lost, one back": {
			"join c1/ann; join c2/ann; lose c1/ann; wait 1s; lose c2/ann; wait 1s; join c3/ann; wait 16s",
			"+c1 +c2 -c1 +c3 -c2", "c3",
		},
		"two tabs lost, both back": {
			"join c1/ann; join c2/ann; lose c1/ann; wait 1s; lose c2/ann; join c3/ann; join c4/ann; wait 16s",
			"+c1 +c2 -c1 +c3 -c2 +c4", "c3 c4",
		},
		"reloads three times": {
			"join c1/ann; lose c1/ann; join c2/ann; lose c2/ann; join c3/ann; lose c3/ann; join c4/ann; wait 40s",
			"+c1 -c1 +c2 -c2 +c3 -c3 +c4", "c4",
		},
		"reloads, and leaves": {
			"join c1/ann; lose c1/ann; wait 1s; join c2/ann; leave c2/ann; wait 16s", "+c1 -c1 +c2 -c2", "",
		},
		"user is back, and pending":     {"join c1/ann; lose c1/ann; wait 1s; begin c2/ann; wait 1s", "+c1", "c2"},
		"the same connection is back":   {"join c1/ann; lose c1/ann; wait 1s; join c1/ann; wait 40s", "+c1", "c1"},
		"unsubscribes during the grace": {"join c1/ann; lose c1/ann; wait 1s; leave c1/ann", "+c1 -c1", ""},
		"gateway is gone":               {"join c1/ann; wait 61s; join c2/bob; leave c3/", "+c1 +c2 -c1", "c2"},
		"joins, and waits":              {"begin c1/ann; wait 20s", "", "c1"},
		"joins, and attaches":           {"begin c1/ann; wait 2s; attach c1", "+c1", "c1"},
		"joins, and is undone":          {"begin c1/ann; undo c1", "", ""},
		"is undone, without a user":     {"begin c1/; undo c1", "", ""},
		"is undone, and joins again":    {"begin c1/ann; undo c1; join c1/ann", "+c1", "c1"},
		"leaves before it attaches":     {"begin c1/ann; leave c1/ann; attach c1", "+c1 -c1", ""},
		"is lost before it attaches":    {"begin c1/ann; lose c1/ann; attach c1; wait 16s", "+c1 -c1", ""},
		"leaves before it is undone":    {"begin c1/ann; leave c1/ann; undo c1", "", ""},
		"is lost before it is undone":   {"begin c1/ann; lose c1/ann; undo c1; wait 16s", "", ""},
		"leaves after it was undone":    {"begin c1/ann; undo c1; leave c1/ann; lose c1/ann; wait 16s", "", ""},
		"user is back, and undone": {
			"join c1/ann; lose c1/ann; wait 1s; begin c2/ann; undo c2; wait 14s; join c3/ann",
			"+c1 -c1 +c3", "c3",
		},
		"user is back, undone, and gone": {"join c1/ann; lose c1/ann; wait 1s; begin c2/ann; undo c2; wait 16s",
			"+c1 -c1", ""},
		"user is back, and leaves before": {"join c1/ann; lose c1/ann; wait 1s; begin c2/ann; leave c2/ann; undo c2",
			"+c1 -c1", ""},
		"user is back, and attaches": {"join c1/ann; lose c1/ann; wait 1s; begin c2/ann; attach c2; wait 40s",
			"+c1 -c1 +c2", "c2"},
		"one attaches, one is undone": {"begin c1/ann; begin c2/bob; undo c1; attach c2", "+c2", "c2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t)
				h.run()
				finishes := map[string]func(attached bool){}
				for step := range strings.SplitSeq(c.steps, "; ") {
					verb, object, _ := strings.Cut(step, " ")
					switch verb {
					case "join":
						h.join(object)
					case "begin":
						finishes[info(object).Client] = h.beginJoin(object)
					case "attach", "undo":
						finishes[object](verb == "attach")
					case "leave", "lose":
						h.Leave(room, info(object), verb == "leave")
					case "wait":
						d, err := time.ParseDuration(object)
						require.NoError(t, err)
						time.Sleep(d)
					}
					synctest.Wait()
				}
				require.Equal(t, c.published, h.takePublished())
				require.Equal(t, c.members, h.members(room))
				h.end()
			})
		})
	}
}

func TestKeeperPublishesNothingWithoutJoinLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		finish, err := h.Join(t.Context(), silent, info("c1/ann"))
		require.NoError(t, err)
		finish(true)
		require.Equal(t, "c1", h.members(silent))
		h.Leave(silent, info("c1/ann"), true)
		synctest.Wait()
		require.Empty(t, h.members(silent))
		require.Empty(t, h.takePublished())
		h.end()
	})
}

// A client that unsubscribes and subscribes again must not be taken out by its own leave.
func TestKeeperKeepsAClientThatComesBackAtOnce(t *testing.T) {
	t.Run("before its leave has attached", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			h.join("c1/ann")
			h.Leave(room, info("c1/ann"), true)
			h.Leave(room, info("c2/bob"), true)
			h.join("c1/ann")
			h.run()
			synctest.Wait()
			require.Equal(t, "+c1", h.takePublished(), "it never left")
			require.Equal(t, "c1", h.members(room))
			h.Leave(room, info("c1/ann"), true)
			synctest.Wait()
			require.Equal(t, "-c1", h.takePublished(), "and can still leave")
			h.end()
		})
	})
	t.Run("during its leave", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			h.run()
			h.join("c1/ann")
			leaving := make(chan struct{})
			h.broker.on("leave", func() error { <-leaving; return nil })
			h.Leave(room, info("c1/ann"), true)
			synctest.Wait()
			joined := make(chan struct{})
			go func() {
				defer close(joined)
				h.join("c1/ann")
			}()
			synctest.Wait()
			require.Equal(t, "+c1", h.takePublished())
			close(leaving)
			<-joined
			synctest.Wait()
			require.Equal(t, "-c1 +c1", h.takePublished())
			require.Equal(t, "c1", h.members(room))
			h.end()
		})
	})
	t.Run("and does not wait for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			h.run()
			leaving := make(chan struct{})
			h.broker.on("leave", func() error { <-leaving; return nil })
			h.Leave(room, info("c1/ann"), true)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := h.Join(ctx, room, info("c1/ann"))
			require.ErrorIs(t, err, broker.ErrUnavailable)
			h.join("c2/bob")
			require.Equal(t, "+c2", h.takePublished(), "other clients do not wait")
			close(leaving)
			h.end()
		})
	})
}

// A client that left on purpose gets no grace from a second leave.
func TestKeeperUsesTheShorterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.join("c1/ann")
		h.Leave(room, info("c1/ann"), true)
		h.Leave(room, info("c1/ann"), false)
		h.run()
		synctest.Wait()
		require.Equal(t, "+c1 -c1", h.takePublished())
		h.end()
	})
}

// Neither a join nor a leave is published, whether or not the broker has made the client a member.
func TestKeeperPublishesNothingOfAFailedJoin(t *testing.T) {
	for _, call := range []string{"join", "answer to join"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t)
				h.run()
				down := errors.New("down")
				h.broker.on(call, func() error { return down })
				_, err := h.Join(t.Context(), room, info("c1/ann"))
				require.ErrorIs(t, err, down)
				synctest.Wait()
				require.Empty(t, h.takePublished())
				require.Empty(t, h.members(room))
				h.broker.on(call, nil)
				h.join("c1/ann")
				require.Equal(t, "+c1", h.takePublished(), "and can still come")
				h.end()
			})
		})
	}
}

// The broker may carry a join out that it was told to give up, after the leave that follows. So it is not told so when
// the client leaves meanwhile.
func TestKeeperGivesNoJoinUpThatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		ctx, cancel := context.WithCancel(t.Context())
		h.broker.on("join", func() error {
			cancel()
			return nil
		})
		finish, err := h.Join(ctx, room, info("c1/ann"))
		require.NoError(t, err)
		require.Equal(t, "c1", h.members(room))
		finish(false)
		synctest.Wait()
		require.Empty(t, h.members(room))
		h.end()
	})
}

// A leave that a join has canceled happens all the same when the join comes to nothing, because other clients know the
// member.
func TestKeeperRepeatsALeaveThatWasCanceledInVain(t *testing.T) {
	for name, fail := range map[string]func(h *harness){
		"undone": func(h *harness) { h.beginJoin("c1/ann")(false) },
		"failed": func(h *harness) {
			h.broker.on("join", func() error { return broker.ErrUnavailable })
			_, err := h.Join(h.t.Context(), room, info("c1/ann"))
			require.ErrorIs(h.t, err, broker.ErrUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t)
				h.join("c1/ann")
				h.Leave(room, info("c1/ann"), true)
				fail(h)
				h.run()
				synctest.Wait()
				require.Equal(t, "+c1 -c1", h.takePublished())
				require.Empty(t, h.members(room))
				h.end()
			})
		})
	}
}

// A client whose join came to nothing may still be a member when it joins again, but no other client knows it.
func TestKeeperJoinsAgainBeforeTheRemoval(t *testing.T) {
	for _, attached := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			h.beginJoin("c1/ann")(false)
			h.beginJoin("c1/ann")(attached)
			h.run()
			synctest.Wait()
			if attached {
				require.Equal(t, "+c1", h.takePublished())
				require.Equal(t, "c1", h.members(room))
			} else {
				require.Empty(t, h.takePublished())
				require.Empty(t, h.members(room))
			}
			h.end()
		})
	}
}

// A leave waits for the join of the same client that is under way, and other leaves do not.
func TestKeeperSlowJoinsDelayNoOtherLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		h.join("c0/ann")
		var finishes []func(attached bool)
		for i := range 100 {
			member := fmt.Sprintf("slow%d/bob", i)
			finishes = append(finishes, h.beginJoin(member))
			h.Leave(room, info(member), true)
		}
		h.Leave(room, info("c0/ann"), true)
		synctest.Wait()
		require.Equal(t, "+c0 -c0", h.takePublished())
		for _, finish := range finishes {
			finish(true)
		}
		require.NoError(t, h.Flush(t.Context()))
		require.Empty(t, h.members(room))
		require.Len(t, strings.Fields(h.takePublished()), 200)
		h.end()
	})
}

// A client that is lost leaves each channel by itself: what delays or cancels one leave does not touch the others.
func TestKeeperLeaveAll(t *testing.T) {
	const second, third = "second", "third"
	for _, c := range []struct {
		name, member string
		// steps follow the joins in three channels. The Keeper runs after them.
		steps     func(h *harness)
		published string
		// members are those of the three channels, at once and after the grace.
		members, later string
	}{
		{"without a user", "c1/", func(h *harness) { h.loseAll("c1/", room, second, third) }, "+c1 -c1", "||", "||"},
		{
			"with a user", "c1/ann", func(h *harness) { h.loseAll("c1/ann", room, second, third) },
			"+c1 -c1", "c1|c1|c1", "||",
		},
		{"not all", "c1/", func(h *harness) { h.loseAll("c1/", third, second) }, "+c1", "c1||", "c1||"},
		{"none", "c1/", func(h *harness) { h.loseAll("c1/") }, "+c1", "c1|c1|c1", "c1|c1|c1"},
		{"left one before", "c1/ann", func(h *harness) {
			h.Leave(second, info("c1/ann"), true)
			h.loseAll("c1/ann", room, second, third)
		}, "+c1 -c1", "c1||c1", "||"},
		{"is back in one", "c1/", func(h *harness) {
			h.loseAll("c1/", second, room, third)
			h.join("c1/")
		}, "+c1", "c1||", "c1||"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t)
				members := func() string { return h.members(room) + "|" + h.members(second) + "|" + h.members(third) }
				for _, channel := range []string{room, second, third} {
					finish, err := h.Join(t.Context(), channel, info(c.member))
					require.NoError(t, err)
					finish(true)
				}
				c.steps(h)
				h.run()
				synctest.Wait()
				require.Equal(t, c.members, members())
				time.Sleep(grace + time.Second)
				synctest.Wait()
				require.Equal(t, c.later, members())
				require.Equal(t, c.published, h.takePublished())
				h.end()
			})
		})
	}
}

// A join that is under way delays the leave of its own channel only.
func TestKeeperLeaveAllDuringAJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		const second = "second"
		finish, err := h.Join(t.Context(), second, info("c1/"))
		require.NoError(t, err)
		finish(true)
		finish = h.beginJoin("c1/")
		h.loseAll("c1/", room, second)
		synctest.Wait()
		require.Empty(t, h.members(second))
		require.Equal(t, "c1", h.members(room))
		finish(true)
		require.NoError(t, h.Flush(t.Context()))
		require.Empty(t, h.members(room))
		require.Equal(t, "+c1 -c1", h.takePublished())
		h.end()
	})
}

// The workers share the leaves of one client: a broker that is slow delays a client with many channels no longer.
func TestKeeperLeaveAllRunsLeavesSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		synctest.Wait()
		h.broker.on("leave", func() error {
			time.Sleep(time.Second)
			return nil
		})
		var channels []string
		for i := range 16 {
			channels = append(channels, fmt.Sprint("channel-", i))
		}
		h.loseAll("c1/", channels...)
		started := time.Now()
		require.NoError(t, h.Flush(t.Context()))
		require.Equal(t, time.Second, time.Since(started))
		h.end()
	})
}

func TestKeeperRenewsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		h.subscribe("c1/ann")
		time.Sleep(10 * ttl)
		require.Equal(t, "c1", h.members(room))
		require.Equal(t, "+c1", h.takePublished())
		h.end()
	})
}

func TestKeeperRestoresMembersThatTheBrokerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		var want []string
		for i := range 600 {
			member := fmt.Sprintf("c%03d", i)
			want = append(want, member)
			h.subscribe(member + "/ann")
		}
		_ = h.takePublished()
		for _, member := range want {
			_, _, err := h.broker.Broker.Leave(t.Context(), room, info(member), 0)
			require.NoError(t, err)
		}
		require.Empty(t, h.members(room))
		time.Sleep(ttl/3 + time.Second)
		synctest.Wait()
		require.Equal(t, strings.Join(want, " "), h.members(room))
		require.Empty(t, h.takePublished(), "no other client saw them leave")
		h.end()
	})
}

// Members expire at the broker while a gateway cannot renew them, and another gateway publishes that they leave. They
// join again when they are renewed.
func TestKeeperTellsOfMembersThatWereTakenForGone(t *testing.T) {
	for name, c := range map[string]struct {
		away      time.Duration
		swept     bool
		published string
	}{
		"for less than the TTL":      {ttl - 2*time.Second, true, ""},
		"for the TTL, and swept":     {2 * ttl, true, "-c1 -c2 +c1 +c2"},
		"for the TTL, and not swept": {2 * ttl, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t)
				h.run()
				h.subscribe("c1/ann")
				h.subscribe("c2/")
				time.Sleep(ttl/3 + time.Second)
				_ = h.takePublished()
				h.broker.on("renew", func() error { return broker.ErrUnavailable })
				time.Sleep(c.away)
				if c.swept {
					// Another gateway does that, and publishes what it returns.
					gone, err := h.broker.Broker.Sweep(t.Context(), room)
					require.NoError(t, err)
					for _, m := range gone {
						h.Deliver(room, broker.Publication{Kind: broker.KindLeave, Info: &m})
					}
				}
				h.broker.on("renew", nil)
				time.Sleep(ttl)
				synctest.Wait()
				require.Equal(t, "c1 c2", h.members(room))
				require.ElementsMatch(t, strings.Fields(c.published), strings.Fields(h.takePublished()))
				h.end()
			})
		})
	}
}

func TestKeeperUpdate(t *testing.T) {
	shown := func(t *testing.T, h *harness) string {
		t.Helper()
		members, err := h.broker.Members(t.Context(), room, 0)
		require.NoError(t, err)
		return string(members["c1"].ConnInfo)
	}
	changed := func() (broker.ClientInfo, bool) {
		return broker.ClientInfo{Client: "c1", User: "ann", ConnInfo: []byte(`2`)}, true
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		h.join("c1/ann")
		require.NoError(t, h.Update(t.Context(), room, "c1", changed))
		require.Equal(t, "2", shown(t, h))
		require.Equal(t, "+c1", h.takePublished(), "nothing has changed but what others see")

		// The member leaves while another call for it runs: it is not brought back.
		h.broker.on("join", func() error { h.Leave(room, info("c1/ann"), true); return nil })
		require.NoError(t, h.Update(t.Context(), room, "c1", changed))
		h.broker.on("join", nil)
		synctest.Wait()
		require.Empty(t, h.members(room))
		require.Equal(t, "-c1", h.takePublished())
		gone := func() (broker.ClientInfo, bool) { return broker.ClientInfo{}, false }
		require.NoError(t, h.Update(t.Context(), room, "c1", gone))
		require.Empty(t, h.members(room))

		finish := h.beginJoin("c1/ann")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, h.Update(ctx, room, "c1", changed), broker.ErrUnavailable, "another call runs")
		finish(true)
		h.broker.on("join", func() error { return broker.ErrUnavailable })
		require.ErrorIs(t, h.Update(t.Context(), room, "c1", changed), broker.ErrUnavailable)
		require.Equal(t, "c1", h.members(room), "it is still there")
		h.end()
	})
}

// A renewal may have seen a member that has left since: it is missing because it left.
func TestKeeperDoesNotRestoreMembersThatLeft(t *testing.T) {
	for name, explicit := range map[string]bool{"at once": true, "for the grace": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t)
				h.run()
				m := h.subscribe("c1/ann")
				h.broker.on("renew", func() error {
					m.leave()
					h.Leave(room, m.ClientInfo, explicit)
					return h.Flush(t.Context())
				})
				time.Sleep(ttl/3 + grace + 2*time.Second)
				synctest.Wait()
				require.Empty(t, h.members(room))
				require.Equal(t, "+c1 -c1", h.takePublished())
				h.end()
			})
		})
	}
	t.Run("while it is brought back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			h.run()
			m := h.subscribe("c1/ann")
			h.broker.onEnd("renew", func() {
				h.broker.on("join", func() error {
					m.leave()
					h.Leave(room, m.ClientInfo, true)
					return nil
				})
			})
			_, _, err := h.broker.Broker.Leave(t.Context(), room, m.ClientInfo, 0)
			require.NoError(t, err)
			time.Sleep(ttl/3 + time.Second)
			synctest.Wait()
			require.Empty(t, h.members(room))
			require.Equal(t, "+c1 -c1", h.takePublished())
			h.end()
		})
	})
}

// A broker that is away for a moment must not hide for long that a member left.
func TestKeeperRetriesSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		h.join("c1/ann")
		h.Leave(room, info("c1/ann"), false)
		h.broker.on("sweep", func() error { return broker.ErrUnavailable })
		time.Sleep(grace + time.Second)
		require.Equal(t, "+c1", h.takePublished())
		h.broker.on("sweep", nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, "-c1", h.takePublished())
		h.end()
	})
}

func TestKeeperFlushWaitsForLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		require.NoError(t, h.Flush(t.Context()), "no member leaves")
		leaving := make(chan struct{})
		h.broker.on("leave", func() error { <-leaving; return nil })
		for i := range 100 {
			member := fmt.Sprintf("c%d/ann", i)
			h.join(member)
			h.Leave(room, info(member), true)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, h.Flush(ctx), context.DeadlineExceeded)

		flushed := make(chan error, 1)
		go func() { flushed <- h.Flush(t.Context()) }()
		close(leaving)
		require.NoError(t, <-flushed)
		require.Empty(t, h.members(room))
		h.end()
	})
}

func TestKeeperFlushAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.run()
		synctest.Wait()
		h.stop()
		synctest.Wait()
		h.Leave(room, info("c1/ann"), true)
		require.NoError(t, h.Flush(t.Context()), "there are no workers to wait for")
		require.NoError(t, <-h.ended)
	})
}

// The log has a line now and then while the broker is away, and no client or user in it.
func TestKeeperWarningsNameNoClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		h := newHarness(t)
		h.Keeper = h.newKeeper(slog.New(slog.NewTextHandler(&log, nil)))
		h.run()
		h.broker.on("leave", func() error { return broker.ErrUnavailable })
		for range 100 {
			h.Leave(room, info("secret-client/secret-user"), true)
			synctest.Wait()
		}
		h.end()
		require.Equal(t, 1, strings.Count(log.String(), "presence is behind"))
		require.NotContains(t, log.String(), "secret")
	})
}
