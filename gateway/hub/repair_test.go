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

// Ten publications are delivered before. What happens is followed by one more, number 20.
func TestHubRepairs(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(h *harness)
		// positioned is what a positioned subscriber gets. It does not get number 20 when its state is insufficient.
		positioned []string
		// unpositioned is what an unpositioned subscriber gets.
		unpositioned []string
		insufficient bool
		unrepaired   int
		// later is true when nothing could be read, so that only the next message starts another repair.
		later bool
	}{
		"a gap": {
			happens:      func(h *harness) { h.publishLost(11, 15); h.publishNumbers(16, 16) },
			positioned:   append(numbers(11, 16), "20"),
			unpositioned: append(numbers(11, 16), "20"),
		},
		"a gap that is trimmed": {
			happens:      func(h *harness) { h.publishLost(11, 15); h.trim("log", 2); h.publishNumbers(16, 16) },
			positioned:   []string{},
			unpositioned: append(numbers(14, 16), "20"),
			insufficient: true,
			unrepaired:   1,
		},
		"a gap with nothing left": {
			happens: func(h *harness) {
				h.onRead(once(func() { h.trim("log", 0) }), nil)
				h.publishLost(11, 15)
				h.publishNumbers(16, 16)
			},
			positioned:   []string{},
			unpositioned: []string{"16", "20"},
			insufficient: true,
			unrepaired:   1,
		},
		"a gap that is too long": {
			happens:      func(h *harness) { h.publishLost(11, 2_011); h.publishNumbers(2_012, 2_012) },
			positioned:   numbers(11, 2_010),
			unpositioned: append(numbers(11, 2_010), "2012", "20"),
			insufficient: true,
			unrepaired:   1,
		},
		"a gap, and reads that fail for a while": {
			happens:      func(h *harness) { h.onRead(failReads(4), nil); h.publishLost(11, 15); h.publishNumbers(16, 16) },
			positioned:   append(numbers(11, 16), "20"),
			unpositioned: append(numbers(11, 16), "20"),
		},
		"a gap, and reads that fail": {
			happens:      func(h *harness) { h.onRead(failReads(5), nil); h.publishLost(11, 15); h.publishNumbers(16, 16) },
			positioned:   []string{},
			unpositioned: []string{"16", "20"},
			insufficient: true,
			unrepaired:   1,
		},
		"a gap, and no answer": {
			happens:      func(h *harness) { h.onRead(blockUntil(nil), nil); h.publishLost(11, 15); h.publishNumbers(16, 16) },
			positioned:   []string{},
			unpositioned: []string{"16", "20"},
			insufficient: true,
			unrepaired:   1,
		},
		"a gap, and a panic": {
			happens: func(h *harness) {
				h.onRead(func(context.Context, string) error { panic("a bug") }, nil)
				h.publishLost(11, 15)
				h.publishNumbers(16, 16)
				synctest.Wait()
				h.onRead(nil, nil)
			},
			positioned:   []string{},
			unpositioned: append(numbers(11, 16), "20"),
			insufficient: true,
			later:        true,
		},
		"messages that come after they were read": {
			happens: func(h *harness) {
				h.publishLost(11, 12)
				h.onRead(once(func() { h.keepMessages("log"); h.publishNumbers(14, 16) }), nil)
				h.publishNumbers(13, 13)
				synctest.Wait()
				h.releaseMessages("log")
			},
			positioned:   append(numbers(11, 16), "20"),
			unpositioned: append(numbers(11, 16), "20"),
		},
		"messages that come during the read": {
			happens: func(h *harness) {
				h.publishLost(11, 12)
				h.onRead(nil, once(func() { h.publishNumbers(14, 16) }))
				h.publishNumbers(13, 13)
			},
			positioned:   append(numbers(11, 16), "20"),
			unpositioned: append(numbers(11, 16), "20"),
		},
		"another gap during the read": {
			happens: func(h *harness) {
				h.publishLost(11, 12)
				h.onRead(nil, once(func() { h.publishLost(14, 15); h.publishNumbers(16, 16) }))
				h.publishNumbers(13, 13)
			},
			positioned:   append(numbers(11, 16), "20"),
			unpositioned: append(numbers(11, 16), "20"),
		},
		"another epoch": {
			happens:      func(h *harness) { h.reset("log"); h.publishNumbers(16, 17) },
			positioned:   []string{},
			unpositioned: []string{"16", "17", "20"},
			insufficient: true,
		},
		"another epoch after a gap": {
			happens: func(h *harness) {
				h.publishLost(11, 12)
				h.onRead(once(func() { h.reset("log"); h.publishNumbers(16, 17) }), nil)
				h.publishNumbers(13, 13)
			},
			positioned:   []string{},
			unpositioned: []string{"13", "16", "17", "20"},
			insufficient: true,
			unrepaired:   1,
		},
		"a stream that was rolled back": {
			happens:      func(h *harness) { h.rollBack("log", 3); h.publishNumbers(8, 9) },
			positioned:   []string{},
			unpositioned: []string{"8", "9", "20"},
			insufficient: true,
		},
		"a stream that was rolled back after a gap": {
			happens: func(h *harness) {
				h.publishLost(11, 12)
				h.onRead(once(func() { h.rollBack("log", 4) }), nil)
				h.publishNumbers(13, 13)
			},
			positioned:   []string{},
			unpositioned: []string{"13", "20"},
			insufficient: true,
			unrepaired:   1,
		},
		"the broker was away": {
			happens:      func(h *harness) { h.publishLost(11, 15); h.Resumed("log") },
			positioned:   append(numbers(11, 15), "20"),
			unpositioned: append(numbers(11, 15), "20"),
		},
		"the broker was away again, during the read": {
			happens: func(h *harness) {
				h.onRead(nil, once(func() { h.publishLost(13, 15); h.Resumed("log") }))
				h.publishLost(11, 12)
				h.Resumed("log")
			},
			positioned:   append(numbers(11, 15), "20"),
			unpositioned: append(numbers(11, 15), "20"),
		},
		"the broker was away and what was published is trimmed": {
			happens:      func(h *harness) { h.publishLost(11, 12); h.trim("log", 0); h.Resumed("log") },
			positioned:   []string{},
			unpositioned: []string{"20"},
			insufficient: true,
			unrepaired:   1,
		},
		"the broker was away and nothing was published": {
			happens:      func(h *harness) { h.Resumed("log"); h.Resumed("elsewhere") },
			positioned:   []string{"20"},
			unpositioned: []string{"20"},
		},
		"the broker was away and cannot be read": {
			happens:      func(h *harness) { h.onRead(failReads(5), nil); h.publishLost(11, 12); h.Resumed("log") },
			positioned:   []string{},
			unpositioned: append(numbers(11, 12), "20"),
			insufficient: true,
			unrepaired:   1,
			later:        true,
		},
		"the broker was away, cannot be read, and a message shows that nothing is missing": {
			happens:      func(h *harness) { h.onRead(failReads(5), nil); h.Resumed("log"); h.publishNumbers(11, 11) },
			positioned:   []string{"11", "20"},
			unpositioned: []string{"11", "20"},
			unrepaired:   1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, hub.Options{})
				h.publishNumbers(1, 9)
				positioned, unpositioned := h.attachPositioned(nil), h.attachUnpositioned()
				h.publishNumbers(10, 10)
				positioned.got, unpositioned.got = nil, nil
				c.happens(h)
				time.Sleep(40 * time.Second)
				require.Equal(t, c.insufficient, positioned.timesInsufficient() == 1, "without another message")
				if !c.later {
					require.Equal(t, c.unpositioned[:len(c.unpositioned)-1], unpositioned.data(), "without another message")
				}
				h.onRead(nil, nil)
				h.publishNumbers(20, 20)
				synctest.Wait()
				require.Equal(t, c.positioned, positioned.data())
				require.Equal(t, c.unpositioned, unpositioned.data())
				require.Equal(t, c.insufficient, positioned.timesInsufficient() == 1)
				require.Zero(t, unpositioned.timesInsufficient())
				require.Equal(t, c.unrepaired, h.unrepaired)
				again := h.attachPositioned(nil)
				h.publishNumbers(21, 21)
				synctest.Wait()
				require.Equal(t, numbers(21, 21), again.data(), "the repair is over")
				require.Zero(t, again.timesInsufficient())
			})
		})
	}
}

// While a stream is read its messages wait, and the caller of Deliver does not.
func TestHubDeliverDoesNotWaitForARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		m := h.attachPositioned(nil)
		open := make(chan struct{})
		h.onRead(blockUntil(open), nil)
		h.publishLost(11, 11)
		h.publishNumbers(12, 14)
		h.Deliver("log", broker.Publication{Data: []byte("no stream")})
		require.Equal(t, []string{"no stream"}, m.data())
		close(open)
		synctest.Wait()
		require.Equal(t, numbers(11, 14), m.data()[1:])
	})
}

// A subscriber that attached behind the gap misses nothing.
func TestHubNotifiesOnlySubscribersThatMissSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		old := h.attachPositioned(nil)
		open := make(chan struct{})
		h.publishLost(11, 15)
		h.onRead(blockUntil(open), nil)
		h.publishNumbers(16, 16)
		synctest.Wait()
		h.onRead(nil, nil)
		fresh := h.attachPositioned(nil)
		require.EqualValues(t, 16, fresh.result.Offset)
		h.trim("log", 0)
		close(open)
		synctest.Wait()
		require.Equal(t, 1, old.timesInsufficient(), "before there is another message")
		h.publishNumbers(17, 17)
		require.Zero(t, fresh.timesInsufficient())
		require.Equal(t, numbers(17, 17), fresh.data())
	})
}

// Only a check finds that the last message of a stream was lost.
func TestHubRunFindsALostLastMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.run()
		h.publishNumbers(1, 10)
		m, w := h.attachPositioned(nil), h.attachUnpositioned()
		h.publishLost(11, 11)
		synctest.Wait()
		require.Empty(t, m.data())
		time.Sleep(2 * time.Minute)
		require.Equal(t, numbers(11, 11), m.data())
		require.Equal(t, numbers(11, 11), w.data())
		h.reset("log")
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, m.timesInsufficient(), "and a stream that ended, too")
	})
}

// A check that fails neither delays a delivery nor makes a state insufficient.
func TestHubRunIgnoresChecksThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.run()
		h.publishNumbers(1, 10)
		m := h.attachPositioned(nil)
		h.onRead(blockUntil(nil), nil)
		for i := range 300 {
			time.Sleep(time.Second)
			h.publishNumbers(11+i, 11+i)
			require.Equal(t, i+1, m.count())
		}
		require.Zero(t, m.timesInsufficient())
		reads, _ := h.counts()
		require.Greater(t, reads, 4)
	})
}

// A channel without positioned subscribers is not read.
func TestHubRunChecksOnlyStreamsWithPositionedSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.run()
		h.attachUnpositioned()
		h.publishNumbers(1, 10)
		time.Sleep(10 * time.Minute)
		reads, _ := h.counts()
		require.Zero(t, reads)
	})
}

// A Redis that comes back is not asked for all streams at once, and none is forgotten.
func TestHubBoundsConcurrentRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		const channels = 200
		members := make([]*recorder, channels)
		for i := range channels {
			name := fmt.Sprintf("log%d", i)
			members[i] = &recorder{encoder: h.encoder}
			subscription, err := h.Hub.Subscribe(t.Context(), name)
			require.NoError(t, err)
			first := func(hub.AttachResult) {}
			require.NoError(t, subscription.AttachPositioned(t.Context(), members[i], positioned, nil, first))
			h.dropMessages(name, true)
			_, err = h.Publish(t.Context(), name, broker.Publication{}, broker.PublishOptions{History: streamRule.History})
			require.NoError(t, err)
		}
		before, _ := h.counts()
		open := make(chan struct{})
		h.onRead(blockUntil(open), nil)
		for i := range channels {
			h.Resumed(fmt.Sprintf("log%d", i))
		}
		synctest.Wait()
		reads, _ := h.counts()
		require.Equal(t, 32, reads-before)
		close(open)
		synctest.Wait()
		for _, m := range members {
			require.Equal(t, 1, m.count())
		}
	})
}

// A repair that is under way ends with Run.
func TestHubRunEndsRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		m := h.attachPositioned(nil)
		h.onRead(blockUntil(nil), nil)
		h.publishLost(11, 11)
		h.publishNumbers(12, 12)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = h.Run(ctx)
		}()
		synctest.Wait()
		began := time.Now()
		cancel()
		<-done
		require.Zero(t, time.Since(began))
		time.Sleep(time.Minute)
		require.Zero(t, m.timesInsufficient(), "a gateway that stops notifies no subscriber")
		_, err := h.tryAttachPositioned(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
	})
}

// Subscribers skip a publication that their protocol cannot express, and miss one that its encoder fails at.
func TestHubPublicationsThatAreNotEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.encoder.skips = func(p broker.Publication) bool { return string(p.Data) == "2" }
		h.encoder.fails = func(p broker.Publication) bool { return string(p.Data) == "4" }
		m, w := h.attachPositioned(nil), h.attachUnpositioned()
		h.publishNumbers(1, 3)
		require.Equal(t, []string{"1", "3"}, m.data())
		require.Zero(t, m.timesInsufficient())
		h.publishNumbers(4, 4)
		require.Equal(t, 1, m.timesInsufficient())
		h.publishNumbers(5, 5)
		require.Equal(t, []string{"1", "3"}, m.data())
		require.Equal(t, []string{"1", "3", "5"}, w.data())
	})
}

// A panic of one subscriber makes no other one miss a publication without a notification.
func TestHubPanicInAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		before, bad, after := h.attachPositioned(nil), h.attachPositioned(nil), h.attachPositioned(nil)
		bad.onSend = func(p broker.Publication) {
			if string(p.Data) == "1" {
				panic("a bug")
			}
		}
		require.Panics(t, func() { h.publishNumbers(1, 1) })
		h.publishNumbers(2, 2)
		require.Equal(t, numbers(1, 2), before.data())
		require.Empty(t, after.data())
		require.Equal(t, 1, after.timesInsufficient())

		h.publishLost(3, 3)
		bad.onSend = func(broker.Publication) { panic("another") }
		h.publishNumbers(4, 4)
		synctest.Wait()
		require.Equal(t, 1, before.timesInsufficient())
		again := h.attachPositioned(nil)
		h.publishNumbers(5, 5)
		synctest.Wait()
		require.Equal(t, numbers(5, 5), again.data())
	})
}

// The value of a panic may be a payload.
func TestHubDoesNotLogTheValueOfAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := newHarness(t, hub.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		m := h.attachPositioned(nil)
		m.onSend = func(p broker.Publication) { panic(string(p.Data)) }
		h.publishLost(50_011, 50_011)
		h.publishNumbers(2, 2)
		synctest.Wait()
		require.Equal(t, 1, m.timesInsufficient())
		require.Contains(t, log.String(), "panic.type=string")
		require.NotContains(t, log.String(), "50011")
	})
}

// Every subscriber with an insufficient state is notified once, even if the notification of another one panics.
func TestHubNotifiesEverySubscriberOnce(t *testing.T) {
	h := newHarness(t, hub.Options{})
	all := make([]*client, 10)
	for i := range all {
		all[i] = h.attachPositioned(nil)
	}
	all[3].onInsufficient = func(*hub.Subscription) { panic("a bug") }
	all[5].onInsufficient = func(*hub.Subscription) {
		for _, m := range all {
			m.subscription.Release()
		}
	}
	h.publishNumbers(1, 1)
	h.reset("log")
	require.Panics(t, func() { h.publishNumbers(2, 2) })
	h.publishNumbers(3, 3)
	for i, m := range all {
		require.Equal(t, numbers(1, 1), m.data())
		if i <= 5 {
			require.Equal(t, 1, m.timesInsufficient(), i)
		} else {
			require.Zero(t, m.timesInsufficient(), "a released subscription is not notified")
		}
	}
}

// More messages may wait than there is room for. The rest is read.
func TestHubReadsMessagesThatDoNotFitTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		m := h.attachPositioned(nil)
		open := make(chan struct{})
		h.onRead(nil, blockUntil(open))
		h.publishLost(1, 1)
		h.publishNumbers(2, 2)
		synctest.Wait()
		h.publishNumbers(3, 11_500)
		close(open)
		synctest.Wait()
		require.Equal(t, numbers(1, 11_500), m.data())
		require.Zero(t, m.timesInsufficient())
	})
}

// A held message that was delivered by a read is not delivered again after the stream was rolled back.
func TestHubRollbackWithMessagesOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		m, w := h.attachPositioned(nil), h.attachUnpositioned()
		h.keepMessages("log")
		h.publishNumbers(11, 12)
		h.Resumed("log")
		synctest.Wait()
		require.Equal(t, numbers(11, 12), w.data())
		h.update("log", func(s *fakeStream) { s.held = s.held[:1] })
		h.rollBack("log", 1)
		h.Resumed("log")
		synctest.Wait()
		require.Equal(t, 1, m.timesInsufficient())
		h.releaseMessages("log")
		require.Equal(t, numbers(11, 12), w.data())
	})
}

// A subscriber can attach at what was read just before a rollback, while a repair runs that read just after it. The hub
// trusts neither before one more read.
func TestHubRollbackBetweenTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		resident := h.attachPositioned(nil)
		h.publishLost(11, 12)
		open := make(chan struct{})
		h.onRead(nil, blockUntil(open))
		attached := make(chan *client)
		go func() { attached <- h.attachPositioned(nil) }()
		synctest.Wait()
		h.rollBack("log", 2)
		again := make(chan struct{})
		h.onRead(nil, blockUntil(again))
		h.Resumed("log")
		synctest.Wait()
		close(open)
		m := <-attached
		require.EqualValues(t, 12, m.result.Offset)
		h.onRead(nil, nil)
		close(again)
		synctest.Wait()
		require.Equal(t, 1, m.timesInsufficient())
		require.Equal(t, 1, resident.timesInsufficient())
	})
}

// While a repair runs, a subscriber that finds another stream leaves it to the repair, because what waits goes out
// first.
func TestHubAttachPositionedToAnotherStreamDuringARepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		m, w := h.attachPositioned(nil), h.attachUnpositioned()
		h.publishLost(11, 11)
		h.onRead(failReads(2), nil)
		h.publishNumbers(12, 13)
		synctest.Wait()
		h.reset("log")
		h.publishNumbers(21, 22)
		time.Sleep(10 * time.Millisecond)
		_, err := h.tryAttachPositioned(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
		late := h.attachPositioned(nil)
		require.Equal(t, *at(2, "e2"), late.result.Position)
		h.publishNumbers(23, 23)
		synctest.Wait()
		require.Equal(t, []string{"12", "13", "21", "22", "23"}, w.data())
		require.Equal(t, 1, m.timesInsufficient())
		require.Equal(t, numbers(23, 23), late.data())
		require.Zero(t, late.timesInsufficient())
	})
}
