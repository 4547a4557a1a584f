package hub_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// Ten publications went out before; what happens is followed by one more, number 20.
func TestRepairs(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(s *scene)
		// counts is what a member gets that counts on the stream, watches one that does not. last is not
		// part of the first when it is lost.
		counts, watches []string
		lost            bool
		unrepaired      int
		// later: nothing could be read, and the next message is what makes somebody read it.
		later bool
	}{
		"a gap": {
			happens: func(s *scene) { s.quiet(11, 15); s.say(16, 16) },
			counts:  append(numbers(11, 16), "20"), watches: append(numbers(11, 16), "20"),
		},
		"a gap that is trimmed": {
			happens: func(s *scene) { s.quiet(11, 15); s.trim("log", 2); s.say(16, 16) },
			counts:  []string{}, watches: append(numbers(14, 16), "20"), lost: true, unrepaired: 1,
		},
		"a gap with nothing left": {
			happens: func(s *scene) {
				s.history(once(func() { s.trim("log", 0) }), nil)
				s.quiet(11, 15)
				s.say(16, 16)
			},
			counts: []string{}, watches: []string{"16", "20"}, lost: true, unrepaired: 1,
		},
		"a gap that is too long": {
			happens: func(s *scene) { s.quiet(11, 2_011); s.say(2_012, 2_012) },
			counts:  numbers(11, 2_010), watches: append(numbers(11, 2_010), "2012", "20"), lost: true, unrepaired: 1,
		},
		"a gap, and reads that fail for a while": {
			happens: func(s *scene) { s.history(failing(4), nil); s.quiet(11, 15); s.say(16, 16) },
			counts:  append(numbers(11, 16), "20"), watches: append(numbers(11, 16), "20"),
		},
		"a gap, and reads that fail": {
			happens: func(s *scene) { s.history(failing(5), nil); s.quiet(11, 15); s.say(16, 16) },
			counts:  []string{}, watches: []string{"16", "20"}, lost: true, unrepaired: 1,
		},
		"a gap, and no answer": {
			happens: func(s *scene) { s.history(until(nil), nil); s.quiet(11, 15); s.say(16, 16) },
			counts:  []string{}, watches: []string{"16", "20"}, lost: true, unrepaired: 1,
		},
		"a gap, and a bug": {
			happens: func(s *scene) {
				s.history(func(context.Context, string) error { panic("a bug") }, nil)
				s.quiet(11, 15)
				s.say(16, 16)
				synctest.Wait()
				s.history(nil, nil)
			},
			counts: []string{}, watches: append(numbers(11, 16), "20"), lost: true, later: true,
		},
		"messages that come after they were read": {
			happens: func(s *scene) {
				s.quiet(11, 12)
				s.history(once(func() { s.hold("log"); s.say(14, 16) }), nil)
				s.say(13, 13)
				synctest.Wait()
				s.release("log")
			},
			counts: append(numbers(11, 16), "20"), watches: append(numbers(11, 16), "20"),
		},
		"messages that come during the read": {
			happens: func(s *scene) {
				s.quiet(11, 12)
				s.history(nil, once(func() { s.say(14, 16) }))
				s.say(13, 13)
			},
			counts: append(numbers(11, 16), "20"), watches: append(numbers(11, 16), "20"),
		},
		"another gap during the read": {
			happens: func(s *scene) {
				s.quiet(11, 12)
				s.history(nil, once(func() { s.quiet(14, 15); s.say(16, 16) }))
				s.say(13, 13)
			},
			counts: append(numbers(11, 16), "20"), watches: append(numbers(11, 16), "20"),
		},
		"another epoch": {
			happens: func(s *scene) { s.reset("log"); s.say(16, 17) },
			counts:  []string{}, watches: []string{"16", "17", "20"}, lost: true,
		},
		"another epoch after a gap": {
			happens: func(s *scene) {
				s.quiet(11, 12)
				s.history(once(func() { s.reset("log"); s.say(16, 17) }), nil)
				s.say(13, 13)
			},
			counts: []string{}, watches: []string{"13", "16", "17", "20"}, lost: true, unrepaired: 1,
		},
		"a stream that went back": {
			happens: func(s *scene) { s.rollBack("log", 3); s.say(8, 9) },
			counts:  []string{}, watches: []string{"8", "9", "20"}, lost: true,
		},
		"a stream that went back after a gap": {
			happens: func(s *scene) {
				s.quiet(11, 12)
				s.history(once(func() { s.rollBack("log", 4) }), nil)
				s.say(13, 13)
			},
			counts: []string{}, watches: []string{"13", "20"}, lost: true, unrepaired: 1,
		},
		"the broker was away": {
			happens: func(s *scene) { s.quiet(11, 15); s.Resumed("log") },
			counts:  append(numbers(11, 15), "20"), watches: append(numbers(11, 15), "20"),
		},
		"the broker was away again, during the read": {
			happens: func(s *scene) {
				s.history(nil, once(func() { s.quiet(13, 15); s.Resumed("log") }))
				s.quiet(11, 12)
				s.Resumed("log")
			},
			counts: append(numbers(11, 15), "20"), watches: append(numbers(11, 15), "20"),
		},
		"the broker was away and what was published is trimmed": {
			happens: func(s *scene) { s.quiet(11, 12); s.trim("log", 0); s.Resumed("log") },
			counts:  []string{}, watches: []string{"20"}, lost: true, unrepaired: 1,
		},
		"the broker was away and nothing was published": {
			happens: func(s *scene) { s.Resumed("log"); s.Resumed("elsewhere") },
			counts:  []string{"20"}, watches: []string{"20"},
		},
		"the broker was away and cannot be read": {
			happens: func(s *scene) { s.history(failing(5), nil); s.quiet(11, 12); s.Resumed("log") },
			counts:  []string{}, watches: append(numbers(11, 12), "20"), lost: true, unrepaired: 1, later: true,
		},
		"the broker was away, cannot be read, and a message shows that nothing is missing": {
			happens: func(s *scene) { s.history(failing(5), nil); s.Resumed("log"); s.say(11, 11) },
			counts:  []string{"11", "20"}, watches: []string{"11", "20"}, unrepaired: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, hub.Options{})
				s.say(1, 9)
				counts, watches := s.come(nil), s.watch()
				s.say(10, 10)
				counts.got, watches.got = nil, nil
				c.happens(s)
				time.Sleep(40 * time.Second)
				require.Equal(t, c.lost, counts.timesLost() == 1, "without another message")
				if !c.later {
					require.Equal(t, c.watches[:len(c.watches)-1], watches.said(), "without another message")
				}
				s.history(nil, nil)
				s.say(20, 20)
				synctest.Wait()
				require.Equal(t, c.counts, counts.said())
				require.Equal(t, c.watches, watches.said())
				require.Equal(t, c.lost, counts.timesLost() == 1)
				require.Zero(t, watches.timesLost())
				require.Equal(t, c.unrepaired, s.unrepaired)
				again := s.come(nil)
				s.say(21, 21)
				synctest.Wait()
				require.Equal(t, numbers(21, 21), again.said(), "whatever it was, it is over")
				require.Zero(t, again.timesLost())
			})
		})
	}
}

// While a stream is read its messages wait, and the broker's worker does not.
func TestDeliveryDoesNotWaitForARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		m := s.come(nil)
		open := make(chan struct{})
		s.history(until(open), nil)
		s.quiet(11, 11)
		s.say(12, 14)
		s.Deliver("log", broker.Publication{Data: []byte("no stream")})
		require.Equal(t, []string{"no stream"}, m.said())
		close(open)
		synctest.Wait()
		require.Equal(t, numbers(11, 14), m.said()[1:])
	})
}

// A member that has joined further on than the gap misses nothing.
func TestOnlyWhoMissesSomethingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		old := s.come(nil)
		open := make(chan struct{})
		s.quiet(11, 15)
		s.history(until(open), nil)
		s.say(16, 16)
		synctest.Wait()
		s.history(nil, nil)
		fresh := s.come(nil)
		require.EqualValues(t, 16, fresh.joined.Offset)
		s.trim("log", 0)
		close(open)
		synctest.Wait()
		require.Equal(t, 1, old.timesLost(), "before there is another message")
		s.say(17, 17)
		require.Zero(t, fresh.timesLost())
		require.Equal(t, numbers(17, 17), fresh.said())
	})
}

// A message that nobody follows is missed by nobody but the clock.
func TestLastMessageIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.run()
		s.say(1, 10)
		m, w := s.come(nil), s.watch()
		s.quiet(11, 11)
		synctest.Wait()
		require.Empty(t, m.said())
		time.Sleep(2 * time.Minute)
		require.Equal(t, numbers(11, 11), m.said())
		require.Equal(t, numbers(11, 11), w.said())
		s.reset("log")
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, m.timesLost(), "and a stream that ended, too")
	})
}

// Nobody is lost, nor has to wait, because a look at a stream in good order fails.
func TestCheckThatFailsHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.run()
		s.say(1, 10)
		m := s.come(nil)
		s.history(until(nil), nil)
		for i := range 300 {
			time.Sleep(time.Second)
			s.say(11+i, 11+i)
			require.Equal(t, i+1, m.count())
		}
		require.Zero(t, m.timesLost())
		reads, _ := s.count()
		require.Greater(t, reads, 4)
	})
}

// A channel that nobody counts on is not read, however long it lives.
func TestOnlyStreamsThatCountAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.run()
		s.watch()
		s.say(1, 10)
		time.Sleep(10 * time.Minute)
		reads, _ := s.count()
		require.Zero(t, reads)
	})
}

// A Redis that comes back is not asked for everything at once, and nothing is forgotten.
func TestRepairsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		const channels = 200
		members := make([]*member, channels)
		for i := range channels {
			name := fmt.Sprintf("log%d", i)
			members[i] = &member{encoder: s.encoder}
			hold, err := s.Hub.Subscribe(t.Context(), name)
			require.NoError(t, err)
			require.NoError(t, hold.AttachPositioned(t.Context(), members[i], counting, nil, func(hub.AttachResult) {}))
			s.lose(name, true)
			_, err = s.Publish(t.Context(), name, broker.Publication{}, broker.PublishOptions{History: logged.History})
			require.NoError(t, err)
		}
		before, _ := s.count()
		open := make(chan struct{})
		s.history(until(open), nil)
		for i := range channels {
			s.Resumed(fmt.Sprintf("log%d", i))
		}
		synctest.Wait()
		reads, _ := s.count()
		require.Equal(t, 32, reads-before)
		close(open)
		synctest.Wait()
		for _, m := range members {
			require.Equal(t, 1, m.count())
		}
	})
}

// What is under way ends with the hub.
func TestRepairsEndWithTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		m := s.come(nil)
		s.history(until(nil), nil)
		s.quiet(11, 11)
		s.say(12, 12)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Hub.Run(ctx)
		}()
		synctest.Wait()
		begun := time.Now()
		cancel()
		<-done
		require.Zero(t, time.Since(begun))
		time.Sleep(time.Minute)
		require.Zero(t, m.timesLost(), "nobody is sent away by a gateway that goes")
		_, err := s.tryToCome(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
	})
}

// A publication that a protocol has no way to say is missed by nobody; one that it fails at is.
func TestPublicationsThatCannotBeSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.encoder.mute = func(p broker.Publication) bool { return string(p.Data) == "2" }
		s.encoder.refuse = func(p broker.Publication) bool { return string(p.Data) == "4" }
		m, w := s.come(nil), s.watch()
		s.say(1, 3)
		require.Equal(t, []string{"1", "3"}, m.said())
		require.Zero(t, m.timesLost())
		s.say(4, 4)
		require.Equal(t, 1, m.timesLost())
		s.say(5, 5)
		require.Equal(t, []string{"1", "3"}, m.said())
		require.Equal(t, []string{"1", "3", "5"}, w.said())
	})
}

// A bug that one member meets keeps nothing from the others without a word.
func TestPanicInAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		before, bad, after := s.come(nil), s.come(nil), s.come(nil)
		bad.onSend = func(p broker.Publication) {
			if string(p.Data) == "1" {
				panic("a bug")
			}
		}
		require.Panics(t, func() { s.say(1, 1) })
		s.say(2, 2)
		require.Equal(t, numbers(1, 2), before.said())
		require.Empty(t, after.said())
		require.Equal(t, 1, after.timesLost())

		s.quiet(3, 3)
		bad.onSend = func(broker.Publication) { panic("another") }
		s.say(4, 4)
		synctest.Wait()
		require.Equal(t, 1, before.timesLost())
		again := s.come(nil)
		s.say(5, 5)
		synctest.Wait()
		require.Equal(t, numbers(5, 5), again.said())
	})
}

// What a bug panics with may be a payload.
func TestWhatABugPanicsWithIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newScene(t, hub.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		m := s.come(nil)
		m.onSend = func(p broker.Publication) { panic(string(p.Data)) }
		s.quiet(50_011, 50_011)
		s.say(2, 2)
		synctest.Wait()
		require.Equal(t, 1, m.timesLost())
		require.Contains(t, log.String(), "panic.type=string")
		require.NotContains(t, log.String(), "50011")
	})
}

// Everybody that is lost is told, once, even if one of them fails at it.
func TestEverybodyIsTold(t *testing.T) {
	s := newScene(t, hub.Options{})
	all := make([]*cast, 10)
	for i := range all {
		all[i] = s.come(nil)
	}
	all[3].onLost = func(*hub.Subscription) { panic("a bug") }
	all[5].onLost = func(*hub.Subscription) {
		for _, m := range all {
			m.hold.Release()
		}
	}
	s.say(1, 1)
	s.reset("log")
	require.Panics(t, func() { s.say(2, 2) })
	s.say(3, 3)
	for i, m := range all {
		require.Equal(t, numbers(1, 1), m.said())
		if i <= 5 {
			require.Equal(t, 1, m.timesLost(), i)
		} else {
			require.Zero(t, m.timesLost(), "who has left need not be told")
		}
	}
}

// More may wait than there is room for: the rest is read.
func TestMoreWaitsThanThereIsRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		m := s.come(nil)
		open := make(chan struct{})
		s.history(nil, until(open))
		s.quiet(1, 1)
		s.say(2, 2)
		synctest.Wait()
		s.say(3, 11_500)
		close(open)
		synctest.Wait()
		require.Equal(t, numbers(1, 11_500), m.said())
		require.Zero(t, m.timesLost())
	})
}

// What was read twice over is not delivered again when the stream goes back to before it.
func TestStreamThatWentBackWithMessagesOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		m, w := s.come(nil), s.watch()
		s.hold("log")
		s.say(11, 12)
		s.Resumed("log")
		synctest.Wait()
		require.Equal(t, numbers(11, 12), w.said())
		s.with("log", func(y *play) { y.onTheirWay = y.onTheirWay[:1] })
		s.rollBack("log", 1)
		s.Resumed("log")
		synctest.Wait()
		require.Equal(t, 1, m.timesLost())
		s.release("log")
		require.Equal(t, numbers(11, 12), w.said())
	})
}

// A member can join at what was read just before the stream went back, and after a repair began that read
// it just after. Nobody believes either before one more read.
func TestStreamThatWentBackBetweenTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		resident := s.come(nil)
		s.quiet(11, 12)
		open := make(chan struct{})
		s.history(nil, until(open))
		came := make(chan *cast)
		go func() { came <- s.come(nil) }()
		synctest.Wait()
		s.rollBack("log", 2)
		again := make(chan struct{})
		s.history(nil, until(again))
		s.Resumed("log")
		synctest.Wait()
		close(open)
		m := <-came
		require.EqualValues(t, 12, m.joined.Offset)
		s.history(nil, nil)
		close(again)
		synctest.Wait()
		require.Equal(t, 1, m.timesLost())
		require.Equal(t, 1, resident.timesLost())
	})
}

// While a repair lasts, a member that finds another stream leaves it to the repair: what waits goes out
// first.
func TestJoinOfAnotherStreamDuringARepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		m, w := s.come(nil), s.watch()
		s.quiet(11, 11)
		s.history(failing(2), nil)
		s.say(12, 13)
		synctest.Wait()
		s.reset("log")
		s.say(21, 22)
		time.Sleep(10 * time.Millisecond)
		_, err := s.tryToCome(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
		late := s.come(nil)
		require.Equal(t, *at(2, "e2"), late.joined.Position)
		s.say(23, 23)
		synctest.Wait()
		require.Equal(t, []string{"12", "13", "21", "22", "23"}, w.said())
		require.Equal(t, 1, m.timesLost())
		require.Equal(t, numbers(23, 23), late.said())
		require.Zero(t, late.timesLost())
	})
}
