package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// reader returns a session that may read every channel.
func (r *harness) reader() *session.Session {
	return r.session(&auth.Claims{
		Caps: []auth.Capability{{Channels: []string{"*"}, Allow: []auth.Permission{auth.History, auth.Presence}}},
	})
}

func (r *harness) publish(data string) {
	_, err := r.broker.Publish(r.t.Context(), "history:a", broker.Publication{Data: []byte(data)},
		broker.PublishOptions{History: r.Hub.Rule("history:a").History})
	require.NoError(r.t, err)
}

// hold makes a call of the broker wait for resume after it has read its result, and counts the calls.
func (r *harness) hold(call string) (calls *atomic.Int32, resume chan struct{}) {
	calls, resume = &atomic.Int32{}, make(chan struct{})
	r.broker.on(call, func(context.Context) error {
		calls.Add(1)
		<-resume
		return nil
	})
	return calls, resume
}

// inBackground calls a read in a goroutine. The result says how many entries were read, and the error.
func inBackground(read func() (int, error)) chan string {
	answer := make(chan string, 1)
	go func() {
		many, err := read()
		answer <- fmt.Sprint(many, err)
	}()
	return answer
}

// sharedReads returns the kinds of read that are shared, each with a function that adds one more entry to what it
// reads.
func sharedReads(r *harness) map[string]struct {
	call string
	ask  func(ctx context.Context) (int, error)
	more func()
} {
	s, members := r.reader(), 0
	return map[string]struct {
		call string
		ask  func(ctx context.Context) (int, error)
		more func()
	}{
		"history": {"history on its way", func(ctx context.Context) (int, error) {
			stream, err := s.History(ctx, "history:a", broker.HistoryQuery{Limit: 10})
			return len(stream.Publications), err
		}, func() { r.publish("x") }},
		"presence": {"members on their way", func(ctx context.Context) (int, error) {
			all, err := s.Members(ctx, "seen:a")
			return len(all), err
		}, func() {
			members++
			_, err := r.broker.Join(r.t.Context(), "seen:a", broker.ClientInfo{Client: fmt.Sprint("c", members)}, time.Hour)
			require.NoError(r.t, err)
		}},
	}
}

// forEveryRead runs a test for each kind of read.
func forEveryRead(t *testing.T,
	test func(r *harness, call string, ask func(ctx context.Context) (int, error), more func())) {
	for name := range sharedReads(newHarness(t)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t)
				q := sharedReads(r)[name]
				q.more()
				test(r, q.call, q.ask, q.more)
				synctest.Wait()
				require.Zero(t, r.Coalescer.Running())
			})
		})
	}
}

// A caller never gets a result that is older than its call.
func TestCoalescerSharesAReadWithEarlierCallersOnly(t *testing.T) {
	forEveryRead(t, func(r *harness, call string, ask func(ctx context.Context) (int, error), more func()) {
		calls, resume := r.hold(call)
		read := func() (int, error) { return ask(r.t.Context()) }
		first := inBackground(read)
		synctest.Wait()
		more()
		var second []chan string
		for range 10 {
			second = append(second, inBackground(read))
		}
		synctest.Wait()
		require.Equal(r.t, int32(1), calls.Load(), "one at a time")

		resume <- struct{}{}
		require.Equal(r.t, "1 <nil>", <-first)
		synctest.Wait()
		require.Equal(r.t, int32(2), calls.Load())
		more()
		third := inBackground(read)
		resume <- struct{}{}
		for _, answer := range second {
			require.Equal(r.t, "2 <nil>", <-answer)
		}
		resume <- struct{}{}
		require.Equal(r.t, "3 <nil>", <-third)
		require.Equal(r.t, int32(3), calls.Load())
	})
}

func TestCoalescerReadOutlivesItsFirstCaller(t *testing.T) {
	forEveryRead(t, func(r *harness, call string, ask func(ctx context.Context) (int, error), _ func()) {
		calls, resume := r.hold(call)
		before := inBackground(func() (int, error) { return ask(r.t.Context()) })
		synctest.Wait()
		ctx, leave := context.WithCancel(r.t.Context())
		leaves := inBackground(func() (int, error) {
			_, err := ask(ctx)
			require.ErrorIs(r.t, err, broker.ErrUnavailable)
			return 0, nil
		})
		synctest.Wait()
		stays := inBackground(func() (int, error) { return ask(r.t.Context()) })
		synctest.Wait()
		leave()
		require.Equal(r.t, "0 <nil>", <-leaves)
		close(resume)
		require.Equal(r.t, "1 <nil>", <-before)
		require.Equal(r.t, "1 <nil>", <-stays)
		require.Equal(r.t, int32(2), calls.Load())
	})
}

func TestCoalescerReadsThatFail(t *testing.T) {
	forEveryRead(t, func(r *harness, call string, ask func(ctx context.Context) (int, error), _ func()) {
		gone := errors.New("gone")
		r.broker.on(call, func(context.Context) error { return gone })
		_, err := ask(r.t.Context())
		require.ErrorIs(r.t, err, gone)

		r.broker.on(call, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		_, err = ask(r.t.Context())
		require.ErrorIs(r.t, err, context.DeadlineExceeded)
		require.Equal(r.t, timeout, time.Since(start))

		r.broker.on(call, func(context.Context) error { panic("5ecre7") })
		_, err = ask(r.t.Context())
		require.ErrorIs(r.t, err, recovery.ErrPanic)
		require.Contains(r.t, r.log.String(), "panic.type=string")
		require.NotContains(r.t, r.log.String(), "5ecre7")

		r.broker.on(call, nil)
		many, err := ask(r.t.Context())
		require.NoError(r.t, err)
		require.Equal(r.t, 1, many)
	})
}

func TestCoalescerKeepsDifferentReadsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		r.publish("x")
		calls, resume := r.hold("history on its way")
		s := r.reader()
		stream, err := r.Broker.(*slowBroker).Broker.History(t.Context(), "history:a", broker.HistoryQuery{})
		require.NoError(t, err)
		at := func(offset uint64) *broker.Position { return &broker.Position{Offset: offset, Epoch: stream.Top.Epoch} }
		queries := []broker.HistoryQuery{{}, {Limit: 1}, {Limit: 2}, {Limit: 1, Reverse: true}, {Limit: 1, Since: at(0)},
			{Limit: 1, Since: at(1)}, {Limit: 1, Since: &broker.Position{}}}
		var answers []chan string
		for _, name := range []string{"history:a", "history:b"} {
			for _, q := range queries {
				answers = append(answers, inBackground(func() (int, error) {
					_, err := s.History(t.Context(), name, q)
					if errors.Is(err, broker.ErrUnrecoverable) {
						err = nil
					}
					return 0, err
				}))
			}
		}
		synctest.Wait()
		require.Equal(t, int32(2*len(queries)), calls.Load())
		close(resume)
		for _, answer := range answers {
			require.Equal(t, "0 <nil>", <-answer)
		}
	})
}

// Pages end at a number of bytes, and a client that reads page by page gets all publications.
func TestHistoryPages(t *testing.T) {
	for name, c := range map[string]struct {
		bytes   int
		reverse bool
		want    string
	}{
		"no limit":                {0, false, "1-6"},
		"all of it fits":          {52, false, "1-6"},
		"almost":                  {51, false, "1-5 6-6"},
		"one is larger than fits": {13, false, "1-2 3-3 4-5 6-6"},
		"one at a time":           {1, false, "1-1 2-2 3-3 4-4 5-5 6-6"},
		"backwards":               {13, true, "6-5 4-4 3-3 2-1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.MaxHistoryBytes = c.bytes
			for _, size := range []int{4, 4, 20, 4, 5, 3} {
				r.publish(strings.Repeat("x", size))
			}
			s, q, pages := r.reader(), broker.HistoryQuery{Limit: -1, Reverse: c.reverse}, []string{}
			for {
				stream, err := s.History(t.Context(), "history:a", q)
				require.NoError(t, err)
				require.Equal(t, uint64(6), stream.Top.Offset)
				n := len(stream.Publications)
				if n == 0 {
					break
				}
				q.Since = &stream.Publications[n-1].Position
				pages = append(pages, fmt.Sprintf("%d-%d", stream.Publications[0].Offset, q.Since.Offset))
			}
			require.Equal(t, c.want, strings.Join(pages, " "))
		})
	}
}

func TestHistoryPageCountsPublisherInfo(t *testing.T) {
	r := newHarness(t)
	r.MaxHistoryBytes = 120
	for range 3 {
		_, err := r.broker.Publish(t.Context(), "history:a",
			broker.Publication{Info: &broker.ClientInfo{ConnInfo: make([]byte, 25), ChanInfo: make([]byte, 25)}},
			broker.PublishOptions{History: r.Hub.Rule("history:a").History})
		require.NoError(t, err)
	}
	stream, err := r.reader().History(t.Context(), "history:a", broker.HistoryQuery{Limit: 10})
	require.NoError(t, err)
	require.Len(t, stream.Publications, 2)
}

func TestMembersRefusesTooMany(t *testing.T) {
	r := newHarness(t)
	r.MaxHistoryBytes = 2_000
	s, many := r.reader(), 0
	for {
		many++
		_, err := r.broker.Join(t.Context(), "seen:a",
			broker.ClientInfo{Client: fmt.Sprint("c", many), User: "ann", ConnInfo: []byte(`{"a":1}`)}, time.Minute)
		require.NoError(t, err)
		all, err := s.Members(t.Context(), "seen:a")
		if err != nil {
			require.ErrorIs(t, err, session.ErrLimit)
			require.ErrorContains(t, err, "presence_stats")
			require.Empty(t, all)
			break
		}
		require.Len(t, all, many)
	}
	require.InDelta(t, 45, many, 10)
	clients, _, err := s.PresenceStats(t.Context(), "seen:a")
	require.NoError(t, err)
	require.Equal(t, many, clients)
	r.MaxHistoryBytes = 0
	_, err = s.Members(t.Context(), "seen:a")
	require.NoError(t, err)
}
