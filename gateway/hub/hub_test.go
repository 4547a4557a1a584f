package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// encoder counts what it encodes.
type encoder struct {
	encoded int
	fail    bool
}

func (e *encoder) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	e.encoded++
	if e.fail {
		return transport.Frame{}, errors.New("cannot")
	}
	return transport.NewFrame(transport.Text, p.Data), nil
}

// member remembers how many frames it got.
type member struct {
	encoder *encoder
	mu      sync.Mutex
	got     int
}

func (m *member) Encoder() hub.Encoder { return m.encoder }

func (m *member) Send(transport.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got++
	return true
}

// remote is a broker that answers when the test wants.
type remote struct {
	*memory.Broker
	mu      sync.Mutex
	pending map[string]func()
	calls   []string
}

func (r *remote) Subscribe(channel string, confirmed func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, "+"+channel)
	r.pending[channel] = confirmed
}

func (r *remote) Unsubscribe(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, "-"+channel)
}

func (r *remote) confirm(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[channel]()
}

func withRemote() (*hub.Hub, *remote) {
	h := hub.New(hub.Options{Linger: time.Second, Logger: slog.New(slog.DiscardHandler)})
	r := &remote{Broker: memory.New(h.Deliver), pending: map[string]func(){}}
	h.Use(r)
	return h, r
}

func withMemory() *hub.Hub {
	h := hub.New(hub.Options{Linger: time.Second, Logger: slog.New(slog.DiscardHandler)})
	h.Use(memory.New(h.Deliver))
	return h
}

func join(t *testing.T, h *hub.Hub, channel string, m *member) *hub.Hold {
	t.Helper()
	hold, err := h.Hold(t.Context(), channel)
	require.NoError(t, err)
	hold.Attach(m, nil)
	return hold
}

func TestPublicationIsEncodedOncePerProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withMemory()
		one, two, broken := &encoder{}, &encoder{}, &encoder{fail: true}
		members := make([]*member, 0, 100)
		for i := range cap(members) {
			members = append(members, &member{encoder: []*encoder{one, two}[i%2]})
			join(t, h, "lobby", members[i])
		}
		unlucky := &member{encoder: broken}
		join(t, h, "lobby", unlucky)
		elsewhere := &member{encoder: one}
		join(t, h, "elsewhere", elsewhere)

		h.Deliver("lobby", broker.Publication{})
		h.Deliver("nobody", broker.Publication{})
		require.Equal(t, 1, one.encoded)
		require.Equal(t, 1, two.encoded)
		for _, m := range members {
			require.Equal(t, 1, m.got)
		}
		require.Zero(t, elsewhere.got)
		require.Zero(t, unlucky.got, "one protocol that cannot carry it does not stop the others")
	})
}

func TestAcknowledgementGoesAheadOfPublications(t *testing.T) {
	h := withMemory()
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
		hold, err := h.Hold(t.Context(), "lobby")
		require.NoError(t, err)
		hold.Attach(m, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			require.Zero(t, m.got)
		})
		hold.Release()
	}
	close(stop)
	<-stopped
}

func TestHoldWaitsForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := withRemote()
		held := make(chan *hub.Hold, 2)
		for range 2 {
			go func() {
				hold, err := h.Hold(t.Context(), "lobby")
				require.NoError(t, err)
				held <- hold
			}()
		}
		synctest.Wait()
		require.Empty(t, held)
		require.Equal(t, []string{"+lobby"}, r.calls, "however many want it")
		r.confirm("lobby")
		(<-held).Release()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"+lobby"}, r.calls, "somebody still wants it")
		(<-held).Release()
		time.Sleep(500 * time.Millisecond)
		hold, err := h.Hold(t.Context(), "lobby")
		require.NoError(t, err, "who comes back soon needs no new subscription")
		require.Equal(t, []string{"+lobby"}, r.calls)
		hold.Release()
		time.Sleep(time.Second + 1)
		synctest.Wait()
		require.Equal(t, []string{"+lobby", "-lobby"}, r.calls)
		require.Zero(t, h.Channels())
	})
}

func TestBrokerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := withRemote()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := h.Hold(ctx, "lobby")
		require.ErrorIs(t, err, broker.ErrUnavailable)
		time.Sleep(time.Second + 1)
		synctest.Wait()
		require.Equal(t, []string{"+lobby", "-lobby"}, r.calls, "what nobody waits for is given up")
	})
}

func TestReleasedMembersGetNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withMemory()
		m := &member{encoder: &encoder{}}
		hold := join(t, h, "lobby", m)
		hold.Release()
		h.Deliver("lobby", broker.Publication{})
		require.Zero(t, m.got)
		time.Sleep(2 * time.Second)
	})
}

func TestConcurrentUse(t *testing.T) {
	h := withMemory()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			m := &member{encoder: &encoder{}}
			for j := range 200 {
				hold, err := h.Hold(t.Context(), fmt.Sprint((i+j)%16))
				if err != nil {
					t.Error(err)
					return
				}
				hold.Attach(m, nil)
				hold.Release()
			}
		})
	}
	wg.Wait()
}

// leaver lets others go while a publication is delivered to it.
type leaver struct {
	member
	leave func()
}

func (m *leaver) Send(f transport.Frame) bool {
	m.leave()
	return m.member.Send(f)
}

// Whoever is there from before to after a delivery gets it once, whoever leaves or comes meanwhile.
func TestLeavingDuringADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, e := withMemory(), &encoder{}
		const members = 1000
		holds, all := make([]*hub.Hold, members), make([]*member, members)
		for i := range members {
			if i == members/2 {
				hold, err := h.Hold(t.Context(), "lobby")
				require.NoError(t, err)
				done := make(chan struct{})
				hold.Attach(&leaver{member{encoder: e}, func() {
					// In a goroutine of its own: the topic is locked for the members around this one.
					go func() {
						defer close(done)
						for i := 0; i < members; i += 7 {
							if i != members/2 {
								holds[i].Release()
							}
						}
						join(t, h, "lobby", &member{encoder: e})
					}()
				}}, nil)
				holds[i], all[i] = hold, nil
				t.Cleanup(func() { <-done })
				continue
			}
			all[i] = &member{encoder: e}
			holds[i] = join(t, h, "lobby", all[i])
		}
		h.Deliver("lobby", broker.Publication{})
		synctest.Wait()
		holds[members/2].Release()
		h.Deliver("lobby", broker.Publication{})
		for i, m := range all {
			switch {
			case m == nil:
			case i%7 == 0:
				require.LessOrEqual(t, m.got, 1)
			default:
				require.Equal(t, 2, m.got, i)
			}
		}
	})
}
