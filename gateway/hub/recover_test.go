package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

func TestSubscriptionAttachPositioned(t *testing.T) {
	for name, c := range map[string]struct {
		options   hub.Options
		before    func(h *harness)
		since     *broker.Position
		at        *broker.Position
		recovered []string
	}{
		"new":                {since: nil, at: at(10, "e1")},
		"at the top":         {since: at(10, "e1"), at: at(10, "e1"), recovered: []string{}},
		"behind":             {since: at(7, "e1"), at: at(10, "e1"), recovered: numbers(8, 10)},
		"from the beginning": {since: at(0, "e1"), at: at(10, "e1"), recovered: numbers(1, 10)},
		"trimmed": {
			before: func(h *harness) { h.trim("log", 2) },
			since:  at(7, "e1"),
			at:     at(10, "e1"),
		},
		"trimmed but enough": {
			before:    func(h *harness) { h.trim("log", 3) },
			since:     at(7, "e1"),
			at:        at(10, "e1"),
			recovered: numbers(8, 10),
		},
		"other epoch":                   {since: at(7, "e0"), at: at(10, "e1")},
		"any epoch, from the beginning": {since: at(0, ""), at: at(10, "e1"), recovered: numbers(1, 10)},
		"any epoch, behind":             {since: at(7, ""), at: at(10, "e1"), recovered: numbers(8, 10)},
		"any epoch, at the top":         {since: at(10, ""), at: at(10, "e1"), recovered: []string{}},
		"any epoch, ahead of the top":   {since: at(11, ""), at: at(10, "e1")},
		"any epoch, trimmed": {
			before: func(h *harness) { h.trim("log", 2) },
			since:  at(7, ""),
			at:     at(10, "e1"),
		},
		"ahead of the top": {
			before: func(h *harness) { h.rollBack("log", 4) },
			since:  at(7, "e1"),
			at:     at(6, "e1"),
		},
		"as many as can be": {
			before:    func(h *harness) { h.publishNumbers(11, 2_000) },
			since:     at(0, "e1"),
			at:        at(2_000, "e1"),
			recovered: numbers(1, 2_000),
		},
		"too many": {
			before: func(h *harness) { h.publishNumbers(11, 2_001) },
			since:  at(0, "e1"),
			at:     at(2_001, "e1"),
		},
		"as many bytes": {
			options:   hub.Options{MaxRecoveredBytes: 10},
			since:     at(7, "e1"),
			at:        at(10, "e1"),
			recovered: numbers(8, 10),
		},
		"too many bytes":        {options: hub.Options{MaxRecoveredBytes: 9}, since: at(7, "e1"), at: at(10, "e1")},
		"nothing in the stream": {before: func(h *harness) { h.reset("log") }, since: nil, at: at(0, "e2")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, c.options)
				h.publishNumbers(1, 10)
				if c.before != nil {
					c.before(h)
				}
				m := h.attachPositioned(c.since)
				require.Equal(t, *c.at, m.result.Position)
				require.Equal(t, c.recovered != nil, m.result.Recovered)
				if c.recovered != nil {
					require.Equal(t, c.recovered, dataOf(m.result.Publications))
				} else {
					require.Empty(t, m.result.Publications)
				}
				h.publish("next")
				synctest.Wait()
				require.Equal(t, []string{"next"}, m.data())
				require.Zero(t, m.timesInsufficient())
			})
		})
	}
}

// A publication that comes while the stream is read is neither missing nor delivered twice.
func TestSubscriptionAttachPositionedWithPublicationsDuringTheRead(t *testing.T) {
	for name, c := range map[string]struct {
		options hub.Options
		// resident attaches another positioned subscriber before.
		resident       bool
		before, after  func(h *harness)
		since          *broker.Position
		at             *broker.Position
		recovered, got []string
		// insufficient is 1 when the resident is notified of an insufficient state, and 2 when both are.
		insufficient int
	}{
		"published before the read": {
			before:    func(h *harness) { h.publishNumbers(11, 12) },
			since:     at(9, "e1"),
			at:        at(12, "e1"),
			recovered: numbers(10, 12),
			got:       numbers(13, 14),
		},
		"published after the read, first of the channel": {
			after:     func(h *harness) { h.publishNumbers(11, 12) },
			since:     at(9, "e1"),
			at:        at(12, "e1"),
			recovered: numbers(10, 12),
			got:       numbers(13, 14),
		},
		"published after the read": {
			resident:  true,
			after:     func(h *harness) { h.publishNumbers(11, 12) },
			since:     at(9, "e1"),
			at:        at(12, "e1"),
			recovered: numbers(10, 12),
			got:       numbers(13, 14),
		},
		"published after the read, and all of it fits": {
			options:   hub.Options{MaxRecoveredBytes: 18},
			resident:  true,
			after:     func(h *harness) { h.publishNumbers(11, 12) },
			since:     at(7, "e1"),
			at:        at(12, "e1"),
			recovered: numbers(8, 12),
			got:       numbers(13, 14),
		},
		"published after the read, and what was read fits": {
			options:  hub.Options{MaxRecoveredBytes: 17},
			resident: true,
			after:    func(h *harness) { h.publishNumbers(11, 12) },
			since:    at(7, "e1"),
			at:       at(12, "e1"),
			got:      numbers(13, 14),
		},
		"published after the read, and what was read does not fit": {
			options:  hub.Options{MaxRecoveredBytes: 6},
			resident: true,
			after:    func(h *harness) { h.publishNumbers(11, 12) },
			since:    at(7, "e1"),
			at:       at(12, "e1"),
			got:      numbers(13, 14),
		},
		"new epoch before the read": {
			resident:     true,
			before:       func(h *harness) { h.reset("log"); h.publishNumbers(1, 2) },
			since:        at(9, "e1"),
			at:           at(2, "e2"),
			got:          numbers(13, 14),
			insufficient: 1,
		},
		"new epoch after the read": {
			resident:     true,
			after:        func(h *harness) { h.reset("log"); h.publishNumbers(1, 2) },
			since:        at(9, "e1"),
			at:           at(2, "e2"),
			got:          numbers(13, 14),
			insufficient: 1,
		},
		"new epoch, whose messages are lost": {
			resident:     true,
			after:        func(h *harness) { h.reset("log"); h.publishLost(1, 2) },
			since:        at(9, "e1"),
			at:           at(10, "e1"),
			recovered:    numbers(10, 10),
			insufficient: 2,
		},
		"new epoch with nothing in it": {
			resident:     true,
			before:       func(h *harness) { h.reset("log") },
			since:        at(9, "e1"),
			at:           at(0, "e2"),
			got:          numbers(13, 14),
			insufficient: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, c.options)
				h.publishNumbers(1, 10)
				var resident *client
				if c.resident {
					resident = h.attachPositioned(nil)
				}
				hook := func(f func(h *harness)) func(context.Context, string) error {
					return once(func() {
						if f != nil {
							f(h)
						}
					})
				}
				h.onRead(hook(c.before), hook(c.after))
				m := h.attachPositioned(c.since)
				require.Equal(t, *c.at, m.result.Position)
				require.Equal(t, c.recovered != nil, m.result.Recovered)
				require.ElementsMatch(t, c.recovered, dataOf(m.result.Publications))
				h.publishNumbers(13, 14)
				synctest.Wait()
				if resident != nil {
					require.Equal(t, c.insufficient > 0, resident.timesInsufficient() > 0)
					require.Equal(t, c.insufficient > 1, m.timesInsufficient() > 0)
				}
				if c.insufficient < 2 {
					require.Equal(t, c.got, m.data())
				}
			})
		})
	}
}

// A subscriber that recovers the latest publication gets it unless it is there already, and nothing else.
func TestSubscriptionAttachPositionedRecoversTheLatest(t *testing.T) {
	for name, c := range map[string]struct {
		options hub.Options
		// before runs before the subscriber attaches, during before the read, and after behind it.
		before, during, after func(h *harness)
		since                 *broker.Position
		at                    *broker.Position
		// recovered is nil when the subscriber does not recover.
		recovered []string
	}{
		"without a position":           {at: at(10, "e1")},
		"the empty position":           {since: at(0, ""), at: at(10, "e1"), recovered: numbers(10, 10)},
		"from the beginning":           {since: at(0, "e1"), at: at(10, "e1"), recovered: numbers(10, 10)},
		"one behind":                   {since: at(9, "e1"), at: at(10, "e1"), recovered: numbers(10, 10)},
		"at the top":                   {since: at(10, "e1"), at: at(10, "e1"), recovered: []string{}},
		"at the top, of any epoch":     {since: at(10, ""), at: at(10, "e1"), recovered: numbers(10, 10)},
		"at the top, of another epoch": {since: at(10, "e0"), at: at(10, "e1"), recovered: numbers(10, 10)},
		"ahead of the top":             {since: at(99, "e1"), at: at(10, "e1"), recovered: numbers(10, 10)},
		"more is missing than recovers": {
			before:    func(h *harness) { h.publishNumbers(11, 2_100) },
			since:     at(1, "e1"),
			at:        at(2_100, "e1"),
			recovered: numbers(2_100, 2_100),
		},
		"the stream has one": {
			before:    func(h *harness) { h.trim("log", 1) },
			since:     at(1, "e1"),
			at:        at(10, "e1"),
			recovered: numbers(10, 10),
		},
		"all has expired":                 {before: expire, since: at(9, "e1"), at: at(10, "e1")},
		"all has expired, empty position": {before: expire, since: at(0, ""), at: at(10, "e1")},
		"all has expired, at the top":     {before: expire, since: at(10, "e1"), at: at(10, "e1"), recovered: []string{}},
		"an empty stream":                 {before: restart, since: at(10, "e1"), at: at(0, "e2")},
		"an empty stream, at its top":     {before: restart, since: at(0, "e2"), at: at(0, "e2")},
		"an empty stream, empty position": {before: restart, since: at(0, ""), at: at(0, "e2")},
		"as many bytes": {
			options:   hub.Options{MaxRecoveredBytes: 4},
			since:     at(0, ""),
			at:        at(10, "e1"),
			recovered: numbers(10, 10),
		},
		"too many bytes": {
			options: hub.Options{MaxRecoveredBytes: 3},
			since:   at(0, ""),
			at:      at(10, "e1"),
		},
		"published before the read": {
			during:    publish11,
			since:     at(9, "e1"),
			at:        at(11, "e1"),
			recovered: numbers(11, 11),
		},
		"published after the read": {
			after:     publish11,
			since:     at(9, "e1"),
			at:        at(11, "e1"),
			recovered: numbers(11, 11),
		},
		"published after the read, at top": {
			after:     publish11,
			since:     at(10, "e1"),
			at:        at(11, "e1"),
			recovered: numbers(11, 11),
		},
		"published after the read, ahead": {
			after:     publish11,
			since:     at(11, "e1"),
			at:        at(11, "e1"),
			recovered: []string{},
		},
		"published after the read of an empty stream": {
			before:    restart,
			after:     func(h *harness) { h.publishNumbers(11, 12) },
			since:     at(0, ""),
			at:        at(2, "e2"),
			recovered: numbers(12, 12),
		},
		"new epoch after the read": {
			after:     func(h *harness) { h.reset("log"); h.publishNumbers(1, 2) },
			since:     at(9, "e1"),
			at:        at(2, "e2"),
			recovered: numbers(2, 2),
		},
	} {
		for _, resident := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, resident %t", name, resident), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHarness(t, c.options)
					h.publishNumbers(1, 10)
					if resident {
						h.attachPositioned(nil)
					}
					hook := func(f func(h *harness)) func(context.Context, string) error {
						return once(func() {
							if f != nil {
								f(h)
							}
						})
					}
					if c.before != nil {
						c.before(h)
					}
					h.onRead(hook(c.during), hook(c.after))
					m := h.attachLatest(c.since)
					require.Equal(t, *c.at, m.result.Position)
					require.Equal(t, c.recovered != nil, m.result.Recovered)
					require.ElementsMatch(t, c.recovered, dataOf(m.result.Publications))
					for _, data := range []string{"next", "and next"} {
						h.publish(data)
					}
					synctest.Wait()
					require.Equal(t, []string{"next", "and next"}, m.data())
					require.Zero(t, m.timesInsufficient())
				})
			})
		}
	}
}

// expire lets all publications of a stream expire, which keeps its position.
func expire(h *harness) { h.trim("log", 0) }

// restart begins another stream.
func restart(h *harness) { h.reset("log") }

func publish11(h *harness) { h.publishNumbers(11, 11) }

// Subscribers that recover the latest publication share a read of it, wherever they were.
func TestSubscriptionAttachPositionedReadsTheLatestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		open := make(chan struct{})
		h.onRead(blockUntil(open), nil)
		var wg sync.WaitGroup
		for i := range uint64(10) {
			wg.Go(func() { require.Equal(t, numbers(10, 10), dataOf(h.attachLatest(at(i, "e1")).result.Publications)) })
		}
		synctest.Wait()
		close(open)
		wg.Wait()
		reads, _ := h.counts()
		require.Equal(t, 1, reads)
		require.Equal(t, broker.HistoryQuery{Limit: 1, Reverse: true}, h.lastQuery)
	})
}

// A client may have a publication that a read which is under way does not have: it reads by itself.
func TestSubscriptionAttachPositionedDoesNotGoBackToAnOlderRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		open := make(chan struct{})
		h.onRead(nil, blockUntil(open))
		go h.attachLatest(at(3, "e1"))
		synctest.Wait()
		h.publishLost(11, 11)
		h.onRead(nil, nil)
		ahead := make(chan *client)
		go func() { ahead <- h.attachLatest(at(11, "e1")) }()
		synctest.Wait()
		close(open)
		c := <-ahead
		require.True(t, c.result.Recovered)
		require.Empty(t, c.result.Publications)
		require.Equal(t, *at(11, "e1"), c.result.Position)
	})
}

// In a stream that was rolled back an offset may stand for two publications, so that no subscriber has the latest.
func TestSubscriptionAttachPositionedRecoversTheLatestAfterARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		h.attachPositioned(nil)
		h.publishNumbers(11, 11)
		h.rollBack("log", 1)
		// The hub notices the rollback by what it receives, and removes the history later.
		h.onRead(failReads(1), nil)
		h.publish("another")
		synctest.Wait()
		require.Equal(t, []string{"another"}, dataOf(h.attachLatest(at(11, "e1")).result.Publications))
	})
}

func TestSubscriptionAttachPositionedReadsNoMoreThanItMayReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{MaxRecoveredBytes: 6})
		h.publishNumbers(1, 10)
		require.False(t, h.attachPositioned(at(7, "e1")).result.Recovered)
		require.Equal(t, broker.HistoryQuery{Since: at(7, "e1"), Limit: 2_000, MaxBytes: 6}, h.lastQuery)
	})
}

// A subscriber may ask to be told before it gets much.
func TestSubscriptionAttachPositionedIsRefusedMoreThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{MaxRecoveredBytes: 100})
		h.publishNumbers(1, 9)
		attach := func(since *broker.Position, maxBytes int, latest bool) (hub.AttachResult, error) {
			s, err := h.Hub.Subscribe(t.Context(), "log")
			require.NoError(t, err)
			defer s.Release()
			var result hub.AttachResult
			o := hub.AttachOptions{Positioned: true, MaxRecoveredBytes: maxBytes, RecoverLatest: latest}
			m := &recorder{encoder: h.encoder}
			err = s.AttachPositioned(t.Context(), m, o, since, func(r hub.AttachResult) { result = r })
			return result, err
		}
		size := broker.Size(broker.Publication{Data: []byte("1")})
		for name, c := range map[string]struct {
			since    *broker.Position
			maxBytes int
			latest   bool
			result   []string
			tooLarge bool
		}{
			"as much":            {since: at(7, "e1"), maxBytes: 2 * size, result: numbers(8, 9)},
			"more":               {since: at(6, "e1"), maxBytes: 2 * size, tooLarge: true},
			"one that is larger": {since: at(8, "e1"), maxBytes: size - 1, tooLarge: true},
			"nothing":            {since: at(9, "e1"), maxBytes: 1, result: []string{}},
			"another epoch":      {since: at(6, "e0"), maxBytes: 1, result: []string{}},
			"without a position": {maxBytes: 1, result: []string{}},
			"the latest":         {since: at(0, "e1"), maxBytes: size, latest: true, result: numbers(9, 9)},
			"a larger latest":    {since: at(0, "e1"), maxBytes: size - 1, latest: true, tooLarge: true},
			"more than the hub":  {since: at(0, "e1"), maxBytes: 1000, result: numbers(1, 9)},
		} {
			result, err := attach(c.since, c.maxBytes, c.latest)
			require.Equal(t, c.tooLarge, errors.Is(err, broker.ErrTooLarge), name)
			if !c.tooLarge {
				require.NoError(t, err, name)
				require.Equal(t, c.result, dataOf(result.Publications), name)
			}
		}
	})
}

// A read that was under way when subscribers came back serves them as well as their own.
func TestSubscriptionAttachPositionedSharesReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		first := h.attachPositioned(nil)
		before, _ := h.counts()
		open := make(chan struct{})
		h.onRead(blockUntil(open), nil)
		const members = 1_000
		all := make([]*client, members)
		var wg sync.WaitGroup
		for i := range members {
			wg.Go(func() { all[i] = h.attachPositioned(at(8, "e1")) })
		}
		synctest.Wait()
		h.publishNumbers(11, 12)
		close(open)
		wg.Wait()
		reads, _ := h.counts()
		require.Equal(t, 1, reads-before)
		h.publishNumbers(13, 13)
		for _, m := range append(all, first) {
			require.Equal(t, "13", m.data()[m.count()-1])
			require.Zero(t, m.timesInsufficient())
		}
		for _, m := range all {
			require.Equal(t, numbers(9, 12), dataOf(m.result.Publications))
		}
	})
}

// After a stream was replaced, subscribers that read it together do not read it one by one.
func TestSubscriptionAttachPositionedSharesReadsOfAnotherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 10)
		resident := h.attachPositioned(nil)
		open := make(chan struct{})
		h.onRead(blockUntil(open), func(context.Context, string) error {
			time.Sleep(time.Millisecond)
			return nil
		})
		var wg sync.WaitGroup
		for range 1_000 {
			wg.Go(func() { require.False(t, h.attachPositioned(at(8, "e1")).result.Recovered) })
		}
		synctest.Wait()
		h.reset("log")
		close(open)
		wg.Wait()
		reads, _ := h.counts()
		require.Less(t, reads, 10)
		require.Equal(t, 1, resident.timesInsufficient())
	})
}

func TestSubscriptionAttachPositionedWithoutABroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 3)
		h.onRead(failReads(1), nil)
		_, err := h.tryAttachPositioned(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
		h.onRead(blockUntil(nil), nil)
		began := time.Now()
		_, err = h.tryAttachPositioned(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
		require.LessOrEqual(t, time.Since(began), 5*time.Second)
		h.onRead(nil, nil)
		require.Equal(t, *at(3, "e1"), h.attachPositioned(nil).result.Position)
		h.publishNumbers(4, 4)
		time.Sleep(5 * time.Second)
		n := 0
		h.CountSubscribers(func(_ string, members int) { n = members })
		require.Equal(t, 1, n, "a subscriber that got an error is not attached")
	})
}

// The caller that began a shared read may give up before the others.
func TestSubscriptionAttachPositionedOutlivesTheFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 3)
		open := make(chan struct{})
		h.onRead(blockUntil(open), nil)
		ctx, cancel := context.WithCancel(context.Background())
		subscription, err := h.Hub.Subscribe(ctx, "log")
		require.NoError(t, err)
		failed := make(chan error)
		go func() { failed <- subscription.AttachPositioned(ctx, &recorder{}, positioned, nil, nil) }()
		synctest.Wait()
		attached := make(chan *client)
		go func() { attached <- h.attachPositioned(nil) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-failed, broker.ErrUnavailable)
		subscription.Release()
		h.publishNumbers(4, 4)
		close(open)
		m := <-attached
		h.publishNumbers(5, 5)
		require.EqualValues(t, 4, m.result.Offset)
		require.Equal(t, numbers(5, 5), m.data())
	})
}

// A panic in a shared read is an error for all callers that wait for it, and for no other.
func TestSubscriptionAttachPositionedPanicInASharedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := newHarness(t, hub.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		h.publishNumbers(1, 3)
		resident := h.attachPositioned(nil)
		before, _ := h.counts()
		open := make(chan struct{})
		h.onRead(func(context.Context, string) error {
			<-open
			panic("5ecre7")
		}, nil)
		const members = 10
		failed := make(chan error, members)
		for range members {
			go func() {
				_, err := h.tryAttachPositioned(at(1, "e1"))
				failed <- err
			}()
		}
		synctest.Wait()
		close(open)
		for range members {
			require.ErrorContains(t, <-failed, "read the stream: a bug")
		}
		reads, _ := h.counts()
		require.Equal(t, 1, reads-before)
		require.Equal(t, 1, strings.Count(log.String(), "panic.type=string"))
		require.NotContains(t, log.String(), "5ecre7")

		h.onRead(nil, nil)
		require.Equal(t, numbers(2, 3), dataOf(h.attachPositioned(at(1, "e1")).result.Publications))
		h.publishNumbers(4, 4)
		require.Equal(t, numbers(4, 4), resident.data())
	})
}

// AttachPositioned gives up on a stream that changes all the time.
func TestSubscriptionAttachPositionedToAnUnstableStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 3)
		h.attachUnpositioned()
		h.onRead(nil, func(context.Context, string) error {
			h.reset("log")
			h.publishNumbers(1, 1)
			return nil
		})
		_, err := h.tryAttachPositioned(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
	})
}

func TestSubscriptionReleaseDuringAttachPositioned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{})
		h.publishNumbers(1, 3)
		open := make(chan struct{})
		h.onRead(blockUntil(open), nil)
		subscription, err := h.Hub.Subscribe(t.Context(), "log")
		require.NoError(t, err)
		m := &recorder{encoder: h.encoder}
		result := make(chan error)
		go func() {
			first := func(hub.AttachResult) { t.Error("the subscription was released") }
			result <- subscription.AttachPositioned(t.Context(), m, positioned, nil, first)
		}()
		synctest.Wait()
		subscription.Release()
		close(open)
		require.Error(t, <-result)
		subscription.Release()
		h.publishNumbers(4, 4)
		require.Zero(t, m.count())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Zero(t, h.Channels())
	})
}

// Each offset of a stream that was rolled back may stand for two publications: no client recovers with one, not even
// while the epoch could not be ended.
func TestSubscriptionAttachPositionedToAStreamThatWasRolledBack(t *testing.T) {
	for name, notice := range map[string]func(h *harness){
		"by a message": func(h *harness) { h.publish("8 again") },
		"by a read":    func(h *harness) { h.attachPositioned(nil) },
		"by a repair":  func(h *harness) { h.Resumed("log") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, hub.Options{})
				h.publishNumbers(1, 10)
				resident := h.attachPositioned(nil)
				h.publishNumbers(11, 12)
				h.rollBack("log", 5)
				notice(h)
				synctest.Wait()
				require.Equal(t, 1, resident.timesInsufficient())
				_, removals := h.counts()
				require.Equal(t, 1, removals, "the epoch is ended")
				m := h.attachPositioned(at(3, "e1"))
				require.False(t, m.result.Recovered)
				require.Equal(t, "e2", m.result.Epoch)
				require.True(t, h.attachPositioned(at(0, "")).result.Recovered, "the new epoch has nothing yet")
			})
		})
	}
	t.Run("that could not be ended yet", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, hub.Options{})
			h.publishNumbers(1, 10)
			h.attachUnpositioned()
			h.publishNumbers(11, 12)
			h.rollBack("log", 5)
			h.onRead(failReads(1), nil)
			h.publishNumbers(8, 13)
			synctest.Wait()
			for _, epoch := range []string{"e1", ""} {
				m := h.attachPositioned(at(12, epoch))
				require.Equal(t, *at(13, "e1"), m.result.Position)
				require.False(t, m.result.Recovered)
			}
			time.Sleep(time.Second)
			_, removals := h.counts()
			require.Equal(t, 1, removals)
		})
	})
}
