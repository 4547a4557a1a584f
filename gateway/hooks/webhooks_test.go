package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/stretchr/testify/require"
)

// started runs hooks until stop is called, which returns how long they took to end.
func started(t *testing.T, h *Hooks) (stop func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	return func() time.Duration {
		start := time.Now()
		cancel()
		require.NoError(t, <-ended)
		return time.Since(start)
	}
}

func toWebhook() Options {
	return Options{WebhookURL: "http://receiver/events", Secret: secret, Cluster: "shop/chat", Node: "pod-1"}
}

// clients are the events' clients, in order, of all batches.
func clients(t *testing.T, requests []arrived) (ids []string) {
	t.Helper()
	for _, r := range requests {
		var events []struct{ Data struct{ Client string } }
		require.NoError(t, json.Unmarshal([]byte(r.body), &events))
		for _, e := range events {
			ids = append(ids, e.Data.Client)
		}
	}
	return ids
}

func emit(h *Hooks, from, to int) (ids []string) {
	for i := from; i < to; i++ {
		ids = append(ids, fmt.Sprint(i))
		h.Emit(Event{Kind: Connected, Client: fmt.Sprint(i)})
	}
	return ids
}

func TestEventsAreCloudEvents(t *testing.T) {
	taken := make(chan struct{})
	b, url := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		close(taken)
	})
	o := toWebhook()
	o.WebhookURL = url
	h, s, _ := hooked(t, o)
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))
	h.Emit(Event{Kind: Connected, Time: at, Client: "c1", User: "u", Protocol: "json"})
	h.Emit(Event{Kind: Disconnected, Client: "c1", User: "u", Protocol: "json", Code: 3001, Reason: "shutdown"})
	h.Emit(Event{Kind: Occupied, Channel: "news"})
	h.Emit(Event{Kind: Vacated, Channel: "news"})
	stop := started(t, h)
	<-taken
	stop()

	got := b.got()
	require.Len(t, got, 1)
	require.Equal(t, "application/cloudevents-batch+json", got[0].header.Get("Content-Type"))
	require.True(t, verified(t, got[0], secret))
	var events []event.Event
	require.NoError(t, json.Unmarshal([]byte(got[0].body), &events))
	ids := map[string]bool{}
	for i, want := range []struct{ kind, subject, data string }{
		{"dev.wsfleet.connection.opened", "c1", `{"client":"c1","user":"u","protocol":"json"}`},
		{"dev.wsfleet.connection.closed", "c1", `{"client":"c1","user":"u","protocol":"json","code":3001,"reason":"shutdown"}`},
		{"dev.wsfleet.channel.occupied", "news", `{"channel":"news"}`},
		{"dev.wsfleet.channel.vacated", "news", `{"channel":"news"}`},
	} {
		e := events[i]
		require.NoError(t, e.Validate())
		require.Equal(t, "1.0", e.SpecVersion())
		require.Equal(t, want.kind, e.Type())
		require.Equal(t, want.subject, e.Subject())
		require.Equal(t, "/wsfleet/shop%2Fchat/pod-1", e.Source())
		require.Equal(t, "application/json", e.DataContentType())
		require.Equal(t, want.data, string(e.Data()))
		ids[e.ID()] = true
	}
	require.True(t, at.Equal(events[0].Time()))
	require.WithinDuration(t, time.Now(), events[1].Time(), time.Minute)
	require.Len(t, ids, 4, "each has an id of its own")
	require.Equal(t, []string{"delivered 4"}, s.all())
	require.Equal(t, "/wsfleet/standalone/n", source("", "n"))
}

func TestOnlyWantedEventsAreSent(t *testing.T) {
	o := toWebhook()
	o.WebhookEvents = []string{"vacated"}
	h, _, _ := hooked(t, o)
	for _, k := range append(kinds(), "unknown") {
		h.Emit(Event{Kind: k})
	}
	require.Equal(t, []Event{{Kind: Vacated, Time: h.webhooks.queue.events[0].Time}}, h.webhooks.queue.events)
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, _ := bubbled(t, toWebhook(), status(http.StatusOK))
		stop := started(t, h)
		want := emit(h, 0, 3)
		time.Sleep(gather - time.Millisecond)
		synctest.Wait()
		require.Empty(t, b.got(), "more may come")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Len(t, b.got(), 1)

		want = append(want, emit(h, 3, 3+2*mostInBatch+1)...)
		synctest.Wait()
		require.Len(t, b.got(), 3, "full batches do not wait")
		require.Equal(t, 1, h.Queued())
		time.Sleep(gather)
		synctest.Wait()
		require.Len(t, b.got(), 4)
		require.Equal(t, want, clients(t, b.got()), "in order")
		require.Zero(t, h.Queued())
		require.Zero(t, stop())
	})
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := bubbled(t, toWebhook(), status(503), status(408), status(429), status(200))
		stop := started(t, h)
		want := emit(h, 0, 1)
		time.Sleep(gather)
		synctest.Wait()
		emit(h, 1, 2)
		require.Equal(t, 2, h.Queued(), "what is being sent waits too")
		time.Sleep(time.Minute)
		got := b.got()
		require.Equal(t, append(want, "0", "0", "0", "1"), clients(t, got), "the next batch waits for its turn")
		first := got[0].header.Get("webhook-id")
		for i, r := range got[:4] {
			require.Equal(t, first, r.header.Get("webhook-id"), "a repetition can be told")
			require.Equal(t, got[0].body, r.body, "also by the events' ids")
			require.True(t, verified(t, r, secret), "with the time of the attempt")
			if i > 0 {
				mean := firstPause
				for range i - 1 {
					mean *= pauseFactor
				}
				require.InDelta(t, mean.Seconds(), r.at.Sub(got[i-1].at).Seconds(), mean.Seconds()/2+0.01)
			}
		}
		require.NotEqual(t, first, got[4].header.Get("webhook-id"))
		require.Equal(t, []string{"delivered 1", "delivered 1"}, s.all())
		stop()
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for value, pause := range map[string]time.Duration{"100": 100 * time.Second, "date": 100 * time.Second, "86400": longestRest} {
		synctest.Test(t, func(t *testing.T) {
			if value == "date" {
				value = time.Now().Add(gather + pause).UTC().Format(http.TimeFormat)
			}
			b, h, _ := bubbled(t, toWebhook(), status(429, "Retry-After", value), status(200))
			stop := started(t, h)
			emit(h, 0, 1)
			time.Sleep(time.Hour)
			got := b.got()
			require.Len(t, got, 2)
			require.InDelta(t, pause.Seconds(), got[1].at.Sub(got[0].at).Seconds(), 1.1)
			stop()
		})
	}
}

func TestRejectedBatchIsNotTriedAgain(t *testing.T) {
	for _, code := range []int{400, 401, 404, 410, 302} {
		synctest.Test(t, func(t *testing.T) {
			b, h, s := bubbled(t, toWebhook(), status(code, "Location", "/elsewhere"), status(204))
			stop := started(t, h)
			emit(h, 0, mostInBatch+1)
			time.Sleep(time.Hour)
			require.Len(t, b.got(), 2)
			require.Equal(t, []string{"rejected 100", "delivered 1"}, s.all())
			stop()
		})
	}
}

func TestBatchIsGivenUpAndTheBreakerRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := bubbled(t, toWebhook(), status(500))
		stop := started(t, h)
		emit(h, 0, 1)
		time.Sleep(10 * time.Minute)
		require.Len(t, b.got(), mostAttempts)
		require.Equal(t, []string{"failed 1"}, s.all())
		require.Zero(t, h.Queued())
		stop()
	})
}

// While the breaker is open no attempts are made, and none are counted: each batch has all of its own.
func TestBreakerOfTheWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := bubbled(t, toWebhook(), status(500))
		for range breakerFailures {
			require.Error(t, h.webhooks.breaker.through(func() error { return h.webhooks.send(t.Context(), &batch{}) }))
		}
		require.True(t, h.BreakerOpen(HookWebhook))
		b.then(status(500), status(500), status(500), status(500), status(200))
		last := time.Now()
		stop := started(t, h)
		emit(h, 0, 1)
		time.Sleep(mostAttempts * 2 * webhookPause)
		got := b.got()[breakerFailures:]
		require.Len(t, got, mostAttempts)
		for _, r := range got {
			require.GreaterOrEqual(t, r.at.Sub(last), webhookPause)
			last = r.at
		}
		require.False(t, h.BreakerOpen(HookWebhook))
		require.Equal(t, []string{"delivered 1"}, s.all())
		stop()
	})
}

func TestFullQueueKeepsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := bubbled(t, toWebhook(), status(200))
		want := emit(h, 0, mostQueued)
		require.Empty(t, s.all())
		emit(h, mostQueued, mostQueued+2)
		require.Equal(t, []string{"queue_full 1", "queue_full 1"}, s.all())
		require.Equal(t, mostQueued, h.Queued())
		stop := started(t, h)
		time.Sleep(time.Second)
		require.Equal(t, want, clients(t, b.got()))
		stop()
	})
}

func TestFlush(t *testing.T) {
	never := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		sent    int
		seen    []string
		took    time.Duration
	}{
		"all of it":           {[]http.HandlerFunc{status(200)}, 250, []string{"delivered 100", "delivered 100", "delivered 50"}, 0},
		"until it fails":      {[]http.HandlerFunc{status(200), status(400), status(500)}, 250, []string{"delivered 100", "rejected 100", "shutdown 50"}, 0},
		"until time is up":    {[]http.HandlerFunc{never}, 100, []string{"shutdown 250"}, flushTime},
		"in the time that is": {[]http.HandlerFunc{status(200), never}, 200, []string{"delivered 100", "shutdown 150"}, flushTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, h, s := bubbled(t, toWebhook(), test.answers...)
				emit(h, 0, 250)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				start := time.Now()
				require.NoError(t, h.Run(ctx))
				require.Equal(t, test.took, time.Since(start))
				require.Equal(t, test.seen, s.all())
				require.Len(t, clients(t, b.got()), test.sent)
				require.Zero(t, h.Queued())

				emit(h, 0, 1)
				require.Equal(t, "shutdown 1", s.all()[len(s.all())-1], "nobody will send it")
				require.Zero(t, h.Queued())
			})
		})
	}
}

// An attempt that is under way when the gateway ends may finish; a pause between two may not.
func TestFlushOfABatchThatIsBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }
		b, h, s := bubbled(t, toWebhook(), slow)
		stop := started(t, h)
		emit(h, 0, 1)
		time.Sleep(gather)
		synctest.Wait()
		require.Equal(t, time.Second, stop())
		require.Len(t, b.got(), 1)
		require.Equal(t, []string{"delivered 1"}, s.all())
	})
	synctest.Test(t, func(t *testing.T) {
		b, h, s := bubbled(t, toWebhook(), status(503, "Retry-After", "60"), status(200))
		stop := started(t, h)
		emit(h, 0, 1)
		time.Sleep(gather + 10*time.Second)
		require.Zero(t, stop())
		got := b.got()
		require.Len(t, got, 2)
		require.Equal(t, got[0].header.Get("webhook-id"), got[1].header.Get("webhook-id"))
		require.Equal(t, []string{"delivered 1"}, s.all())
	})
}
