package hub_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

func TestPublicationIsEncodedOncePerProtocol(t *testing.T) {
	h, _ := newHub(hub.Options{})
	all := func(broker.Publication) bool { return true }
	one, two, broken, mute := &encoder{}, &encoder{}, &encoder{refuse: all}, &encoder{mute: all}
	members := make([]*member, 0, 100)
	for i := range cap(members) {
		members = append(members, &member{encoder: []*encoder{one, two}[i%2]})
		join(t, h, "lobby", members[i])
	}
	unlucky, silent := &member{encoder: broken}, &member{encoder: mute}
	join(t, h, "lobby", unlucky)
	join(t, h, "lobby", silent)
	elsewhere := &member{encoder: one}
	join(t, h, "elsewhere", elsewhere)

	h.Deliver("lobby", broker.Publication{})
	h.Deliver("nobody", broker.Publication{})
	require.Equal(t, 1, one.encoded)
	require.Equal(t, 1, two.encoded)
	for _, m := range members {
		require.Equal(t, 1, m.count())
	}
	require.Zero(t, elsewhere.count())
	require.Zero(t, unlucky.count(), "one protocol that cannot carry it does not stop the others")
	require.Zero(t, silent.count(), "one that has no way to say it says nothing")
	require.Zero(t, unlucky.timesLost())
}

func TestAcknowledgementGoesAheadOfPublications(t *testing.T) {
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
		m := &member{encoder: &encoder{}}
		hold, err := h.Subscribe(t.Context(), "lobby")
		require.NoError(t, err)
		hold.Attach(m, hub.AttachOptions{}, func() { require.Zero(t, m.count()) })
		hold.Release()
	}
	close(stop)
	<-stopped
}

func TestHoldWaitsForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHub(hub.Options{})
		s.shy = true
		held := make(chan *hub.Subscription, 2)
		for range 2 {
			go func() {
				hold, err := h.Subscribe(t.Context(), "lobby")
				require.NoError(t, err)
				held <- hold
			}()
		}
		synctest.Wait()
		require.Empty(t, held)
		require.Equal(t, []string{"+lobby"}, s.calls, "however many want it")
		s.confirm("lobby")
		(<-held).Release()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"+lobby"}, s.calls, "somebody still wants it")
		(<-held).Release()
		time.Sleep(500 * time.Millisecond)
		hold, err := h.Subscribe(t.Context(), "lobby")
		require.NoError(t, err, "who comes back soon needs no new subscription")
		require.Equal(t, []string{"+lobby"}, s.calls)
		hold.Release()
		time.Sleep(time.Second + 1)
		synctest.Wait()
		require.Equal(t, []string{"+lobby", "-lobby"}, s.calls)
		require.Zero(t, h.Channels())
	})
}

func TestBrokerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHub(hub.Options{SubscribeTimeout: 5 * time.Second})
		s.shy = true
		began := time.Now()
		_, err := h.Subscribe(t.Context(), "lobby")
		require.ErrorIs(t, err, broker.ErrUnavailable)
		require.Equal(t, 5*time.Second, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = h.Subscribe(ctx, "lobby")
		require.ErrorIs(t, err, broker.ErrUnavailable)
		require.Equal(t, 6*time.Second, time.Since(began), "who has less patience need not have more")
		time.Sleep(time.Second + 1)
		synctest.Wait()
		require.Equal(t, []string{"+lobby", "-lobby"}, s.calls, "what nobody waits for is given up")
	})
}

func TestReleasedMembersGetNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHub(hub.Options{})
		m, stays := &member{encoder: &encoder{}}, &member{encoder: &encoder{}}
		hold := join(t, h, "lobby", m)
		join(t, h, "lobby", stays)
		hold.Release()
		hold.Release()
		h.Deliver("lobby", broker.Publication{})
		require.Zero(t, m.count())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"+lobby"}, s.calls, "who releases twice takes nobody else's hold")
		require.Equal(t, 1, stays.count())
	})
}

func TestConcurrentUse(t *testing.T) {
	h, _ := newHub(hub.Options{})
	done := make(chan error, 8)
	for i := range cap(done) {
		go func() {
			m := &member{encoder: &encoder{}}
			for j := range 200 {
				hold, err := h.Subscribe(t.Context(), fmt.Sprint((i+j)%16))
				if err != nil {
					done <- err
					return
				}
				hold.Attach(m, hub.AttachOptions{}, nil)
				hold.Release()
			}
			done <- nil
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
}

// Whoever is there from before to after a delivery gets it once, whoever leaves or comes meanwhile.
func TestLeavingDuringADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHub(hub.Options{})
		e := &encoder{}
		const members, middle = 1000, 500
		holds, all := make([]*hub.Subscription, members), make([]*member, members)
		late := &member{encoder: e}
		for i := range members {
			all[i] = &member{encoder: e}
			holds[i] = join(t, h, "lobby", all[i])
		}
		all[middle].onSend = func(broker.Publication) {
			all[middle].onSend = nil
			// In a goroutine of its own: the topic is locked for the members around this one.
			go func() {
				for i := 0; i < members; i += 7 {
					holds[i].Release()
				}
				join(t, h, "lobby", late)
			}()
		}
		h.Deliver("lobby", broker.Publication{})
		synctest.Wait()
		holds[middle].Release()
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
		require.Equal(t, 1, late.count(), "what was under way when it came is not its")
		require.NotPanics(t, func() { holds[1].Release() })
	})
}

// A bug that one delivery meets leaves nothing locked, and no places behind.
func TestPanicInADelivery(t *testing.T) {
	h, _ := newHub(hub.Options{})
	bad, good := &member{encoder: &encoder{}}, &member{encoder: &encoder{}}
	badly := join(t, h, "lobby", bad)
	join(t, h, "lobby", good)
	bad.onSend = func(broker.Publication) { panic("a bug") }
	require.Panics(t, func() { h.Deliver("lobby", broker.Publication{}) })
	badly.Release()
	h.Deliver("lobby", broker.Publication{})
	require.Equal(t, 1, good.count())
	n := 0
	h.CountSubscribers(func(_ string, members int) { n = members })
	require.Equal(t, 1, n)
}

func TestJoinsAndLeavesGoToWhoWantsThem(t *testing.T) {
	h, _ := newHub(hub.Options{})
	e := &encoder{}
	wants, does := &member{encoder: e}, &member{encoder: e}
	hold, err := h.Subscribe(t.Context(), "lobby")
	require.NoError(t, err)
	hold.Attach(wants, hub.AttachOptions{JoinLeave: true}, nil)
	join(t, h, "lobby", does)
	h.Deliver("lobby", broker.Publication{Kind: broker.KindJoin, Info: &broker.ClientInfo{Client: "c"}})
	require.Equal(t, 1, wants.count())
	require.Zero(t, does.count())
}

// A gateway has as many holds as subscriptions.
func TestHoldIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(hub.Subscription{}), uintptr(56))
}
