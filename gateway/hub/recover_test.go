package hub_test

import (
	"bytes"
	"context"
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

func TestJoin(t *testing.T) {
	for name, c := range map[string]struct {
		options   hub.Options
		before    func(s *scene)
		since     *broker.Position
		at        *broker.Position
		recovered []string
	}{
		"new":                   {since: nil, at: at(10, "e1")},
		"at the top":            {since: at(10, "e1"), at: at(10, "e1"), recovered: []string{}},
		"behind":                {since: at(7, "e1"), at: at(10, "e1"), recovered: numbers(8, 10)},
		"from the beginning":    {since: at(0, "e1"), at: at(10, "e1"), recovered: numbers(1, 10)},
		"trimmed":               {before: func(s *scene) { s.trim("log", 2) }, since: at(7, "e1"), at: at(10, "e1")},
		"trimmed but enough":    {before: func(s *scene) { s.trim("log", 3) }, since: at(7, "e1"), at: at(10, "e1"), recovered: numbers(8, 10)},
		"other epoch":           {since: at(7, "e0"), at: at(10, "e1")},
		"no epoch":              {since: at(0, ""), at: at(10, "e1")},
		"ahead of the top":      {before: func(s *scene) { s.rollBack("log", 4) }, since: at(7, "e1"), at: at(6, "e1")},
		"as many as can be":     {before: func(s *scene) { s.say(11, 2_000) }, since: at(0, "e1"), at: at(2_000, "e1"), recovered: numbers(1, 2_000)},
		"too many":              {before: func(s *scene) { s.say(11, 2_001) }, since: at(0, "e1"), at: at(2_001, "e1")},
		"as many bytes":         {options: hub.Options{MaxRecoveredBytes: 10}, since: at(7, "e1"), at: at(10, "e1"), recovered: numbers(8, 10)},
		"too many bytes":        {options: hub.Options{MaxRecoveredBytes: 9}, since: at(7, "e1"), at: at(10, "e1")},
		"nothing in the stream": {before: func(s *scene) { s.reset("log") }, since: nil, at: at(0, "e2")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.options)
				s.say(1, 10)
				if c.before != nil {
					c.before(s)
				}
				m := s.come(c.since)
				require.Equal(t, *c.at, m.joined.Position)
				require.Equal(t, c.recovered != nil, m.joined.Recovered)
				if c.recovered != nil {
					require.Equal(t, c.recovered, said(m.joined.Publications))
				} else {
					require.Empty(t, m.joined.Publications)
				}
				s.publish("next")
				synctest.Wait()
				require.Equal(t, []string{"next"}, m.said())
				require.Zero(t, m.timesLost())
			})
		})
	}
}

// What is published while the stream is read is neither missing nor there twice.
func TestPublicationsDuringARead(t *testing.T) {
	for name, c := range map[string]struct {
		options hub.Options
		// resident: somebody else counts on the stream already.
		resident       bool
		begin, end     func(s *scene)
		since          *broker.Position
		at             *broker.Position
		recovered, got []string
		lost           int
	}{
		"published before the look": {
			begin: func(s *scene) { s.say(11, 12) }, since: at(9, "e1"), at: at(12, "e1"), recovered: numbers(10, 12), got: numbers(13, 14),
		},
		"published after the look, first of the topic": {
			end: func(s *scene) { s.say(11, 12) }, since: at(9, "e1"), at: at(12, "e1"), recovered: numbers(10, 12), got: numbers(13, 14),
		},
		"published after the look": {
			resident: true, end: func(s *scene) { s.say(11, 12) }, since: at(9, "e1"), at: at(12, "e1"), recovered: numbers(10, 12), got: numbers(13, 14),
		},
		"published after the look, and all of it fits": {
			options: hub.Options{MaxRecoveredBytes: 18}, resident: true, end: func(s *scene) { s.say(11, 12) }, since: at(7, "e1"), at: at(12, "e1"), recovered: numbers(8, 12), got: numbers(13, 14),
		},
		"published after the look, and what was read fits": {
			options: hub.Options{MaxRecoveredBytes: 17}, resident: true, end: func(s *scene) { s.say(11, 12) }, since: at(7, "e1"), at: at(12, "e1"), got: numbers(13, 14),
		},
		"published after the look, and what was read does not fit": {
			options: hub.Options{MaxRecoveredBytes: 6}, resident: true, end: func(s *scene) { s.say(11, 12) }, since: at(7, "e1"), at: at(12, "e1"), got: numbers(13, 14),
		},
		"new epoch before the look": {
			resident: true, begin: func(s *scene) { s.reset("log"); s.say(1, 2) }, since: at(9, "e1"), at: at(2, "e2"), got: numbers(13, 14), lost: 1,
		},
		"new epoch after the look": {
			resident: true, end: func(s *scene) { s.reset("log"); s.say(1, 2) }, since: at(9, "e1"), at: at(2, "e2"), got: numbers(13, 14), lost: 1,
		},
		"new epoch, of which nobody heard": {
			resident: true, end: func(s *scene) { s.reset("log"); s.quiet(1, 2) }, since: at(9, "e1"), at: at(10, "e1"), recovered: numbers(10, 10), lost: 2,
		},
		"new epoch with nothing in it": {
			resident: true, begin: func(s *scene) { s.reset("log") }, since: at(9, "e1"), at: at(0, "e2"), got: numbers(13, 14), lost: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.options)
				s.say(1, 10)
				var resident *cast
				if c.resident {
					resident = s.come(nil)
				}
				hook := func(f func(s *scene)) func(context.Context, string) error {
					return once(func() {
						if f != nil {
							f(s)
						}
					})
				}
				s.history(hook(c.begin), hook(c.end))
				m := s.come(c.since)
				require.Equal(t, *c.at, m.joined.Position)
				require.Equal(t, c.recovered != nil, m.joined.Recovered)
				require.ElementsMatch(t, c.recovered, said(m.joined.Publications))
				s.say(13, 14)
				synctest.Wait()
				if resident != nil {
					require.Equal(t, c.lost > 0, resident.timesLost() > 0)
					require.Equal(t, c.lost > 1, m.timesLost() > 0)
				}
				if c.lost < 2 {
					require.Equal(t, c.got, m.said())
				}
			})
		})
	}
}

func TestRecoveriesReadNoMoreThanTheyMayBring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{MaxRecoveredBytes: 6})
		s.say(1, 10)
		require.False(t, s.come(at(7, "e1")).joined.Recovered)
		require.Equal(t, broker.HistoryQuery{Since: at(7, "e1"), Limit: 2_000, MaxBytes: 6}, s.asked)
	})
}

// A read that was under way when members came back is as good for them as their own.
func TestMembersShareReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		first := s.come(nil)
		before, _ := s.count()
		open := make(chan struct{})
		s.history(until(open), nil)
		const members = 1_000
		all := make([]*cast, members)
		var wg sync.WaitGroup
		for i := range members {
			wg.Go(func() { all[i] = s.come(at(8, "e1")) })
		}
		synctest.Wait()
		s.say(11, 12)
		close(open)
		wg.Wait()
		reads, _ := s.count()
		require.Equal(t, 1, reads-before)
		s.say(13, 13)
		for _, m := range append(all, first) {
			require.Equal(t, "13", m.said()[m.count()-1])
			require.Zero(t, m.timesLost())
		}
		for _, m := range all {
			require.Equal(t, numbers(9, 12), said(m.joined.Publications))
		}
	})
}

// After a stream was replaced, members that read it together do not read it one by one.
func TestMembersShareReadsOfAnotherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 10)
		resident := s.come(nil)
		open := make(chan struct{})
		s.history(until(open), func(context.Context, string) error {
			time.Sleep(time.Millisecond)
			return nil
		})
		var wg sync.WaitGroup
		for range 1_000 {
			wg.Go(func() { require.False(t, s.come(at(8, "e1")).joined.Recovered) })
		}
		synctest.Wait()
		s.reset("log")
		close(open)
		wg.Wait()
		reads, _ := s.count()
		require.Less(t, reads, 10)
		require.Equal(t, 1, resident.timesLost())
	})
}

func TestJoinOfABrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 3)
		s.history(failing(1), nil)
		_, err := s.tryToCome(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
		s.history(until(nil), nil)
		begun := time.Now()
		_, err = s.tryToCome(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
		require.LessOrEqual(t, time.Since(begun), 5*time.Second)
		s.history(nil, nil)
		require.Equal(t, *at(3, "e1"), s.come(nil).joined.Position)
		s.say(4, 4)
		time.Sleep(5 * time.Second)
		n := 0
		s.CountSubscribers(func(_ string, members int) { n = members })
		require.Equal(t, 1, n, "who could not join is not there")
	})
}

// The first of those who share a read may go.
func TestTheReadOutlivesWhoBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 3)
		open := make(chan struct{})
		s.history(until(open), nil)
		ctx, cancel := context.WithCancel(context.Background())
		hold, err := s.Hub.Subscribe(ctx, "log")
		require.NoError(t, err)
		gone := make(chan error)
		go func() { gone <- hold.AttachPositioned(ctx, &member{}, counting, nil, nil) }()
		synctest.Wait()
		came := make(chan *cast)
		go func() { came <- s.come(nil) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-gone, broker.ErrUnavailable)
		hold.Release()
		s.say(4, 4)
		close(open)
		m := <-came
		s.say(5, 5)
		require.EqualValues(t, 4, m.joined.Offset)
		require.Equal(t, numbers(5, 5), m.said())
	})
}

// A bug met by a shared read is an error for all who wait for it, and for nobody else.
func TestABugInASharedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newScene(t, hub.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		s.say(1, 3)
		resident := s.come(nil)
		before, _ := s.count()
		open := make(chan struct{})
		s.history(func(context.Context, string) error {
			<-open
			panic("5ecre7")
		}, nil)
		const members = 10
		failed := make(chan error, members)
		for range members {
			go func() {
				_, err := s.tryToCome(at(1, "e1"))
				failed <- err
			}()
		}
		synctest.Wait()
		close(open)
		for range members {
			require.ErrorContains(t, <-failed, "read the stream: a bug")
		}
		reads, _ := s.count()
		require.Equal(t, 1, reads-before)
		require.Equal(t, 1, strings.Count(log.String(), "panic.type=string"))
		require.NotContains(t, log.String(), "5ecre7")

		s.history(nil, nil)
		require.Equal(t, numbers(2, 3), said(s.come(at(1, "e1")).joined.Publications))
		s.say(4, 4)
		require.Equal(t, numbers(4, 4), resident.said())
	})
}

// A stream that never holds still is no reason to wait for ever, nor to lose members again and again.
func TestStreamThatChangesTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 3)
		s.watch()
		s.history(nil, func(context.Context, string) error {
			s.reset("log")
			s.say(1, 1)
			return nil
		})
		_, err := s.tryToCome(nil)
		require.ErrorIs(t, err, broker.ErrUnavailable)
	})
}

func TestReleaseDuringAJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, hub.Options{})
		s.say(1, 3)
		open := make(chan struct{})
		s.history(until(open), nil)
		hold, err := s.Hub.Subscribe(t.Context(), "log")
		require.NoError(t, err)
		m := &member{encoder: s.encoder}
		joined := make(chan error)
		go func() {
			joined <- hold.AttachPositioned(t.Context(), m, counting, nil, func(hub.AttachResult) { t.Error("it has left") })
		}()
		synctest.Wait()
		hold.Release()
		close(open)
		require.Error(t, <-joined)
		hold.Release()
		s.say(4, 4)
		require.Zero(t, m.count())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Zero(t, s.Channels())
	})
}

// Offsets of a stream that went back mean two things each: nobody can recover with them, even while the
// epoch could not be ended.
func TestNobodyRecoversInAStreamThatWentBack(t *testing.T) {
	for name, find := range map[string]func(s *scene){
		"by a message": func(s *scene) { s.publish("8 again") },
		"by a join":    func(s *scene) { s.come(nil) },
		"by a repair":  func(s *scene) { s.Resumed("log") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, hub.Options{})
				s.say(1, 10)
				resident := s.come(nil)
				s.say(11, 12)
				s.rollBack("log", 5)
				find(s)
				synctest.Wait()
				require.Equal(t, 1, resident.timesLost())
				_, removed := s.count()
				require.Equal(t, 1, removed, "the epoch is ended")
				m := s.come(at(3, "e1"))
				require.False(t, m.joined.Recovered)
				require.Equal(t, "e2", m.joined.Epoch)
			})
		})
	}
	t.Run("that could not be ended yet", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, hub.Options{})
			s.say(1, 10)
			s.watch()
			s.say(11, 12)
			s.rollBack("log", 5)
			s.history(failing(1), nil)
			s.say(8, 13)
			synctest.Wait()
			m := s.come(at(12, "e1"))
			require.Equal(t, *at(13, "e1"), m.joined.Position)
			require.False(t, m.joined.Recovered)
			time.Sleep(time.Second)
			_, removed := s.count()
			require.Equal(t, 1, removed)
		})
	})
}
