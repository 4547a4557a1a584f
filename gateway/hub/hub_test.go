package hub_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

func TestHubEncodesAPublicationOncePerProtocol(t *testing.T) {
	h, _ := newHub(hub.Options{})
	all := func(broker.Publication) bool { return true }
	one, two := &fakeEncoder{}, &fakeEncoder{}
	failing, skipping := &recorder{encoder: &fakeEncoder{fails: all}}, &recorder{encoder: &fakeEncoder{skips: all}}
	subscribers := make([]*recorder, 0, 100)
	for i := range cap(subscribers) {
		subscribers = append(subscribers, &recorder{encoder: []*fakeEncoder{one, two}[i%2]})
		attach(t, h, "lobby", subscribers[i])
	}
	attach(t, h, "lobby", failing)
	attach(t, h, "lobby", skipping)
	elsewhere := &recorder{encoder: one}
	attach(t, h, "elsewhere", elsewhere)

	h.Deliver("lobby", broker.Publication{})
	h.Deliver("empty", broker.Publication{})
	require.Equal(t, 1, one.calls)
	require.Equal(t, 1, two.calls)
	for _, m := range subscribers {
		require.Equal(t, 1, m.count())
	}
	require.Zero(t, elsewhere.count())
	require.Zero(t, failing.count(), "an encoder that fails does not stop the others")
	require.Zero(t, skipping.count(), "a zero frame is not sent")
	require.Zero(t, failing.timesInsufficient())
}

func TestSubscriptionAttachAcknowledgesAheadOfPublications(t *testing.T) {
	h, _ := newHub(hub.Options{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				h.Deliver("lobby", broker.Publication{})
			}
		}
	}()
	for range 1000 {
		m := &recorder{encoder: &fakeEncoder{}}
		subscription, err := h.Subscribe(t.Context(), "lobby")
		require.NoError(t, err)
		subscription.Attach(m, hub.AttachOptions{}, func() { require.Zero(t, m.count()) })
		subscription.Release()
	}
	close(stop)
	<-stopped
}

func TestHubSubscribeWaitsForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, b := newHub(hub.Options{})
		b.manualConfirm = true
		subscribed := make(chan *hub.Subscription, 2)
		for range 2 {
			go func() {
				subscription, err := h.Subscribe(t.Context(), "lobby")
				assert.NoError(t, err)
				subscribed <- subscription
			}()
		}
		synctest.Wait()
		require.Empty(t, subscribed)
		require.Equal(t, []string{"+lobby"}, b.calls, "one subscription at the broker for both")
		b.confirm("lobby")
		(<-subscribed).Release()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"+lobby"}, b.calls, "there is still a subscription")
		(<-subscribed).Release()
		time.Sleep(500 * time.Millisecond)
		subscription, err := h.Subscribe(t.Context(), "lobby")
		require.NoError(t, err, "a subscription that comes back soon needs none at the broker")
		require.Equal(t, []string{"+lobby"}, b.calls)
		subscription.Release()
		time.Sleep(time.Second + 1)
		synctest.Wait()
		require.Equal(t, []string{"+lobby", "-lobby"}, b.calls)
		require.Zero(t, h.Channels())
	})
}

func TestHubSubscribeTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, b := newHub(hub.Options{SubscribeTimeout: 5 * time.Second})
		b.manualConfirm = true
		began := time.Now()
		_, err := h.Subscribe(t.Context(), "lobby")
		require.ErrorIs(t, err, broker.ErrUnavailable)
		require.Equal(t, 5*time.Second, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = h.Subscribe(ctx, "lobby")
		require.ErrorIs(t, err, broker.ErrUnavailable)
		require.Equal(t, 6*time.Second, time.Since(began), "a shorter deadline of the caller counts")
		time.Sleep(time.Second + 1)
		synctest.Wait()
		require.Equal(t, []string{"+lobby", "-lobby"}, b.calls, "a channel without subscriptions is given up")
	})
}

func TestHubDeliversNothingToAReleasedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, b := newHub(hub.Options{})
		m, stays := &recorder{encoder: &fakeEncoder{}}, &recorder{encoder: &fakeEncoder{}}
		subscription := attach(t, h, "lobby", m)
		attach(t, h, "lobby", stays)
		subscription.Release()
		subscription.Release()
		h.Deliver("lobby", broker.Publication{})
		require.Zero(t, m.count())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"+lobby"}, b.calls, "a second Release does not release another subscription")
		require.Equal(t, 1, stays.count())
	})
}

func TestHubConcurrentUse(t *testing.T) {
	h, _ := newHub(hub.Options{})
	done := make(chan error, 8)
	for i := range cap(done) {
		go func() {
			m := &recorder{encoder: &fakeEncoder{}}
			for j := range 200 {
				subscription, err := h.Subscribe(t.Context(), fmt.Sprint((i+j)%16))
				if err != nil {
					done <- err
					return
				}
				subscription.Attach(m, hub.AttachOptions{}, nil)
				subscription.Release()
			}
			done <- nil
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
}

// A subscriber that is attached before and after a delivery gets it once, whichever others leave or attach meanwhile.
func TestHubReleaseDuringADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHub(hub.Options{})
		e := &fakeEncoder{}
		const subscribers, middle = 1000, 500
		subscriptions, all := make([]*hub.Subscription, subscribers), make([]*recorder, subscribers)
		late := &recorder{encoder: e}
		for i := range subscribers {
			all[i] = &recorder{encoder: e}
			subscriptions[i] = attach(t, h, "lobby", all[i])
		}
		all[middle].onSend = func(broker.Publication) {
			all[middle].onSend = nil
			// In a goroutine of its own, because the delivery holds the channel's lock now.
			go func() {
				for i := 0; i < subscribers; i += 7 {
					subscriptions[i].Release()
				}
				attach(t, h, "lobby", late) //nolint:testifylint // synctest.Wait awaits it
			}()
		}
		h.Deliver("lobby", broker.Publication{})
		synctest.Wait()
		subscriptions[middle].Release()
		h.Deliver("lobby", broker.Publication{})
		for i, m := range all {
			switch {
			case i == middle:
				require.Equal(t, 1, m.count())
			case i%7 == 0:
				require.LessOrEqual(t, m.count(), 1)
			default:
				require.Equal(t, 2, m.count(), i)
			}
		}
		require.Equal(t, 1, late.count(), "a delivery that began before Attach is not for it")
		require.NotPanics(t, func() { subscriptions[1].Release() })
	})
}

// A panic in a delivery leaves no lock held and no slots pinned.
func TestHubPanicInADelivery(t *testing.T) {
	h, _ := newHub(hub.Options{})
	bad, good := &recorder{encoder: &fakeEncoder{}}, &recorder{encoder: &fakeEncoder{}}
	badSubscription := attach(t, h, "lobby", bad)
	attach(t, h, "lobby", good)
	bad.onSend = func(broker.Publication) { panic("a bug") }
	require.Panics(t, func() { h.Deliver("lobby", broker.Publication{}) })
	badSubscription.Release()
	h.Deliver("lobby", broker.Publication{})
	require.Equal(t, 1, good.count())
	n := 0
	h.CountSubscribers(func(_ string, subscribers int) { n = subscribers })
	require.Equal(t, 1, n)
}

func TestHubDeliversJoinsAndLeavesOnRequest(t *testing.T) {
	h, _ := newHub(hub.Options{})
	e := &fakeEncoder{}
	with, without := &recorder{encoder: e}, &recorder{encoder: e}
	subscription, err := h.Subscribe(t.Context(), "lobby")
	require.NoError(t, err)
	subscription.Attach(with, hub.AttachOptions{JoinLeave: true}, nil)
	attach(t, h, "lobby", without)
	h.Deliver("lobby", broker.Publication{Kind: broker.KindJoin, Info: &broker.ClientInfo{Client: "c"}})
	require.Equal(t, 1, with.count())
	require.Zero(t, without.count())
}

// A gateway has a Subscription for each channel of each client.
func TestSubscriptionIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(hub.Subscription{}), uintptr(56))
}

// A broker that is known to be lost is not waited for, but for a moment in which the connection may come back.
func TestHubSubscribeToALostBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, hub.Options{SubscribeTimeout: time.Hour})
		h.manualConfirm, h.lost = true, make(chan struct{})
		subscribe := func() <-chan error {
			done := make(chan error, 1)
			go func() {
				s, err := h.Hub.Subscribe(t.Context(), "log")
				if err == nil {
					s.Release()
				}
				done <- err
			}()
			synctest.Wait()
			return done
		}
		waiting := subscribe()
		time.Sleep(time.Minute)
		require.Empty(t, waiting, "it is not lost")
		close(h.lost)
		later := subscribe()
		time.Sleep(200 * time.Millisecond)
		require.ErrorIs(t, <-waiting, broker.ErrUnavailable)
		require.ErrorIs(t, <-later, broker.ErrUnavailable)

		last := subscribe()
		h.confirm("log")
		require.NoError(t, <-last, "the connection came back")
		time.Sleep(time.Minute)
	})
}
