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

// runHooks calls Run until stop is called. stop returns how long Run took to end.
func runHooks(t *testing.T, h *Hooks) (stop func() time.Duration) {
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

func webhookOptions() Options {
	return Options{WebhookURL: "http://receiver/events", Secret: secret, Cluster: "shop/chat", Node: "pod-1"}
}

// clientIDs returns the clients of the events of all batches, in order.
func clientIDs(t *testing.T, requests []receivedRequest) (ids []string) {
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

func emitEvents(h *Hooks, from, to int) (ids []string) {
	for i := from; i < to; i++ {
		ids = append(ids, fmt.Sprint(i))
		h.Emit(Event{Kind: Connected, Client: fmt.Sprint(i)})
	}
	return ids
}

func TestWebhooksSendCloudEvents(t *testing.T) {
	taken := make(chan struct{})
	b, url := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		close(taken)
	})
	o := webhookOptions()
	o.WebhookURL = url
	h, s, _ := newHooks(t, o)
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))
	h.Emit(Event{Kind: Connected, Time: at, Client: "c1", User: "u", Protocol: "json"})
	h.Emit(Event{Kind: Disconnected, Client: "c1", User: "u", Protocol: "json", Code: 3001, Reason: "shutdown"})
	h.Emit(Event{Kind: Occupied, Channel: "news"})
	h.Emit(Event{Kind: Vacated, Channel: "news"})
	stop := runHooks(t, h)
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
		{"dev.wsfleet.connection.closed", "c1",
			`{"client":"c1","user":"u","protocol":"json","code":3001,"reason":"shutdown"}`},
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

func TestWebhooksSendWantedEvents(t *testing.T) {
	o := webhookOptions()
	o.WebhookEvents = []string{"vacated"}
	h, _, _ := newHooks(t, o)
	for _, k := range append(kinds(), "unknown") {
		h.Emit(Event{Kind: k})
	}
	require.Equal(t, []Event{{Kind: Vacated, Time: h.webhooks.queue.events[0].Time}}, h.webhooks.queue.events)
}

func TestWebhooksSendBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, _ := newSyncHooks(t, webhookOptions(), status(http.StatusOK))
		stop := runHooks(t, h)
		want := emitEvents(h, 0, 3)
		time.Sleep(batchDelay - time.Millisecond)
		synctest.Wait()
		require.Empty(t, b.got(), "more may come")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Len(t, b.got(), 1)

		want = append(want, emitEvents(h, 3, 3+2*maxBatchEvents+1)...)
		synctest.Wait()
		require.Len(t, b.got(), 3, "full batches do not wait")
		require.Equal(t, 1, h.Queued())
		time.Sleep(batchDelay)
		synctest.Wait()
		require.Len(t, b.got(), 4)
		require.Equal(t, want, clientIDs(t, b.got()), "in order")
		require.Zero(t, h.Queued())
		require.Zero(t, stop())
	})
}

func TestWebhooksRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := newSyncHooks(t, webhookOptions(), status(503), status(408), status(429), status(200))
		stop := runHooks(t, h)
		want := emitEvents(h, 0, 1)
		time.Sleep(batchDelay)
		synctest.Wait()
		emitEvents(h, 1, 2)
		require.Equal(t, 2, h.Queued(), "what is being sent waits too")
		time.Sleep(time.Minute)
		got := b.got()
		require.Equal(t, append(want, "0", "0", "0", "1"), clientIDs(t, got), "the next batch waits for its turn")
		first := got[0].header.Get("webhook-id")
		for i, r := range got[:4] {
			require.Equal(t, first, r.header.Get("webhook-id"), "a repetition can be told")
			require.Equal(t, got[0].body, r.body, "also by the events' ids")
			require.True(t, verified(t, r, secret), "with the time of the attempt")
			if i > 0 {
				mean := initialDelay
				for range i - 1 {
					mean *= delayFactor
				}
				require.InDelta(t, mean.Seconds(), r.at.Sub(got[i-1].at).Seconds(), mean.Seconds()/2+0.01)
			}
		}
		require.NotEqual(t, first, got[4].header.Get("webhook-id"))
		require.Equal(t, []string{"delivered 1", "delivered 1"}, s.all())
		stop()
	})
}

func TestWebhooksHonourRetryAfter(t *testing.T) {
	for value, pause := range map[string]time.Duration{
		"100":   100 * time.Second,
		"date":  100 * time.Second,
		"86400": maxRetryAfter,
	} {
		synctest.Test(t, func(t *testing.T) {
			if value == "date" {
				value = time.Now().Add(batchDelay + pause).UTC().Format(http.TimeFormat)
			}
			b, h, _ := newSyncHooks(t, webhookOptions(), status(429, "Retry-After", value), status(200))
			stop := runHooks(t, h)
			emitEvents(h, 0, 1)
			time.Sleep(time.Hour)
			got := b.got()
			require.Len(t, got, 2)
			require.InDelta(t, pause.Seconds(), got[1].at.Sub(got[0].at).Seconds(), 1.1)
			stop()
		})
	}
}

func TestWebhooksDropRejectedBatch(t *testing.T) {
	for _, code := range []int{400, 401, 404, 410, 302} {
		synctest.Test(t, func(t *testing.T) {
			b, h, s := newSyncHooks(t, webhookOptions(), status(code, "Location", "/elsewhere"), status(204))
			stop := runHooks(t, h)
			emitEvents(h, 0, maxBatchEvents+1)
			time.Sleep(time.Hour)
			require.Len(t, b.got(), 2)
			require.Equal(t, []string{"rejected 100", "delivered 1"}, s.all())
			stop()
		})
	}
}

func TestWebhooksGiveUpBatchWithClosedBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := newSyncHooks(t, webhookOptions(), status(500))
		stop := runHooks(t, h)
		emitEvents(h, 0, 1)
		time.Sleep(10 * time.Minute)
		require.Len(t, b.got(), maxAttempts)
		require.Equal(t, []string{"failed 1"}, s.all())
		require.Zero(t, h.Queued())
		stop()
	})
}

// While the breaker is open no attempts are made, and none are counted: each batch has all of its own.
func TestWebhooksWaitForBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := newSyncHooks(t, webhookOptions(), status(500))
		for range breakerFailures {
			require.Error(t, h.webhooks.breaker.do(func() error { return h.webhooks.send(t.Context(), &batch{}) }))
		}
		require.True(t, h.BreakerOpen(HookWebhook))
		b.respondWith(status(500), status(500), status(500), status(500), status(200))
		last := time.Now()
		stop := runHooks(t, h)
		emitEvents(h, 0, 1)
		time.Sleep(maxAttempts * 2 * webhookOpenDuration)
		got := b.got()[breakerFailures:]
		require.Len(t, got, maxAttempts)
		for _, r := range got {
			require.GreaterOrEqual(t, r.at.Sub(last), webhookOpenDuration)
			last = r.at
		}
		require.False(t, h.BreakerOpen(HookWebhook))
		require.Equal(t, []string{"delivered 1"}, s.all())
		stop()
	})
}

func TestQueueKeepsOldestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := newSyncHooks(t, webhookOptions(), status(200))
		want := emitEvents(h, 0, maxQueuedEvents)
		require.Empty(t, s.all())
		emitEvents(h, maxQueuedEvents, maxQueuedEvents+2)
		require.Equal(t, []string{"queue_full 1", "queue_full 1"}, s.all())
		require.Equal(t, maxQueuedEvents, h.Queued())
		stop := runHooks(t, h)
		time.Sleep(time.Second)
		require.Equal(t, want, clientIDs(t, b.got()))
		stop()
	})
}

func TestWebhooksFlushQueue(t *testing.T) {
	never := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		answers      []http.HandlerFunc
		sent         int
		fakeObserver []string
		took         time.Duration
	}{
		"all of it": {[]http.HandlerFunc{status(200)}, 250,
			[]string{"delivered 100", "delivered 100", "delivered 50"}, 0},
		"until it fails": {[]http.HandlerFunc{status(200), status(400), status(500)}, 250,
			[]string{"delivered 100", "rejected 100", "shutdown 50"}, 0},
		"until time is up": {[]http.HandlerFunc{never}, 100, []string{"shutdown 250"}, flushTimeout},
		"in the time that is": {[]http.HandlerFunc{status(200), never}, 200, []string{"delivered 100", "shutdown 150"},
			flushTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, h, s := newSyncHooks(t, webhookOptions(), test.answers...)
				emitEvents(h, 0, 250)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				start := time.Now()
				require.NoError(t, h.Run(ctx))
				require.Equal(t, test.took, time.Since(start))
				require.Equal(t, test.fakeObserver, s.all())
				require.Len(t, clientIDs(t, b.got()), test.sent)
				require.Zero(t, h.Queued())

				emitEvents(h, 0, 1)
				require.Equal(t, "shutdown 1", s.all()[len(s.all())-1], "events after the end are dropped")
				require.Zero(t, h.Queued())
			})
		})
	}
}

// An attempt that is under way when the gateway ends may finish; a pause between two may not.
func TestWebhooksFlushBatchInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }
		b, h, s := newSyncHooks(t, webhookOptions(), slow)
		stop := runHooks(t, h)
		emitEvents(h, 0, 1)
		time.Sleep(batchDelay)
		synctest.Wait()
		require.Equal(t, time.Second, stop())
		require.Len(t, b.got(), 1)
		require.Equal(t, []string{"delivered 1"}, s.all())
	})
	synctest.Test(t, func(t *testing.T) {
		b, h, s := newSyncHooks(t, webhookOptions(), status(503, "Retry-After", "60"), status(200))
		stop := runHooks(t, h)
		emitEvents(h, 0, 1)
		time.Sleep(batchDelay + 10*time.Second)
		require.Zero(t, stop())
		got := b.got()
		require.Len(t, got, 2)
		require.Equal(t, got[0].header.Get("webhook-id"), got[1].header.Get("webhook-id"))
		require.Equal(t, []string{"delivered 1"}, s.all())
	})
}
