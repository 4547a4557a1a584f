package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/fleet/rpc"
	"github.com/wsfleet/wsfleet/internal/sleep"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNetwork connects peers by their gateway IDs. It is their Sender and the writer of their logs.
type fakeNetwork struct {
	// mu guards the fields below.
	mu    sync.Mutex
	peers map[string]*rpc.Peer
	// transmit, if not nil, decides what happens to a message to a gateway. It calls deliver to deliver the message.
	transmit transmit
	log      strings.Builder
}

type transmit func(to string, message []byte, deliver func()) (reached bool, err error)

// Send implements rpc.Sender.
func (n *fakeNetwork) Send(_ context.Context, gatewayID string, message []byte) (bool, error) {
	n.mu.Lock()
	to, transmit := n.peers[gatewayID], n.transmit
	n.mu.Unlock()
	if to == nil {
		return false, nil
	}
	deliver := func() { to.OnMessage(message) }
	if transmit != nil {
		return transmit(gatewayID, message, deliver)
	}
	deliver()
	return true, nil
}

// Write appends to the log.
func (n *fakeNetwork) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *fakeNetwork) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// params are the params of the method "say". They say how the handler responds.
type params struct {
	// Text is returned after the gateway's ID.
	Text string
	// After is how long the handler waits before it responds.
	After time.Duration
	// Fail makes the handler return an error.
	Fail bool
	// Bug makes the handler panic with Text.
	Bug bool
}

// newNetwork returns a network of gateways with the method "say".
func newNetwork(ids ...string) *fakeNetwork {
	n := &fakeNetwork{peers: map[string]*rpc.Peer{}}
	for _, id := range ids {
		n.peers[id] = rpc.New(rpc.Options{
			GatewayID: id,
			Sender:    n,
			Logger:    slog.New(slog.NewTextHandler(n, nil)),
			Handlers: map[string]rpc.Handler{"say": func(ctx context.Context, encoded json.RawMessage) (any, error) {
				return say(ctx, id, encoded)
			}},
		})
	}
	return n
}

// say is the handler of the method "say".
func say(ctx context.Context, gatewayID string, encoded json.RawMessage) (any, error) {
	var p params
	if err := json.Unmarshal(encoded, &p); err != nil {
		return nil, err
	}
	if p.Bug {
		panic(p.Text)
	}
	if p.Fail {
		return nil, errors.New("it does not go")
	}
	if p.After > 0 {
		if err := sleep.For(ctx, p.After); err != nil {
			return nil, err
		}
	}
	return gatewayID + p.Text, nil
}

// call calls a method of gateways, a list with spaces, from gateway a and describes the results.
func (n *fakeNetwork) call(t *testing.T, gateways, method string, params any) string {
	t.Helper()
	r, err := n.peers["a"].Call(t.Context(), strings.Fields(gateways), method, params)
	require.NoError(t, err)
	return describe(r)
}

func describe(r rpc.Results) string {
	var results []string
	for gatewayID, result := range r.ByGateway {
		results = append(results, gatewayID+"="+string(result))
	}
	slices.Sort(results)
	slices.Sort(r.Unreachable)
	slices.Sort(r.Failed)
	return fmt.Sprintf("%s unreachable=%v failed=%v", strings.Join(results, " "), r.Unreachable, r.Failed)
}

func TestCallCollectsResults(t *testing.T) {
	for name, c := range map[string]struct {
		gateways string
		params   any
		method   string
		transmit transmit
		want     string
		takes    time.Duration
	}{
		"no gateway":        {"", params{}, "say", nil, " unreachable=[] failed=[]", 0},
		"itself":            {"a", params{Text: "!"}, "say", nil, `a="a!" unreachable=[] failed=[]`, 0},
		"others":            {"a b c", params{Text: "!"}, "say", nil, `a="a!" b="b!" c="c!" unreachable=[] failed=[]`, 0},
		"the same twice":    {"b b", params{Text: "!"}, "say", nil, `b="b!" unreachable=[] failed=[]`, 0},
		"some do not exist": {"b x c y", params{}, "say", nil, `b="b" c="c" unreachable=[x y] failed=[]`, 0},
		"slow": {"a b", params{After: time.Second}, "say", nil, `a="a" b="b" unreachable=[] failed=[]`,
			time.Second},
		"too slow": {"a b", params{After: 3 * time.Second}, "say", nil, ` unreachable=[] failed=[a b]`,
			2 * time.Second},
		"error":                {"a b", params{Fail: true}, "say", nil, ` unreachable=[] failed=[a b]`, 0},
		"panic":                {"a b", params{Bug: true}, "say", nil, ` unreachable=[] failed=[a b]`, 0},
		"unknown method":       {"a b", params{}, "sing", nil, ` unreachable=[] failed=[a b]`, 0},
		"params of wrong type": {"a b", "text", "say", nil, ` unreachable=[] failed=[a b]`, 0},
		"broker down for one": {"b c", params{}, "say", func(to string, _ []byte, deliver func()) (bool, error) {
			if to == "b" {
				return false, errors.New("down")
			}
			deliver()
			return true, nil
		}, `c="c" unreachable=[] failed=[b]`, 0},
		"lost request": {"b c", params{}, "say", func(to string, _ []byte, deliver func()) (bool, error) {
			if to != "b" {
				deliver()
			}
			return true, nil
		}, `c="c" unreachable=[] failed=[b]`, 2 * time.Second},
		"lost responses": {"b c", params{}, "say", func(to string, _ []byte, deliver func()) (bool, error) {
			if to != "a" {
				deliver()
			}
			return true, nil
		}, ` unreachable=[] failed=[b c]`, 2 * time.Second},
		"messages that arrive twice": {"b c", params{}, "say", func(_ string, _ []byte, deliver func()) (bool, error) {
			deliver()
			deliver()
			return true, nil
		}, `b="b" c="c" unreachable=[] failed=[]`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a", "b", "c")
				n.transmit = c.transmit
				start := time.Now()
				require.Equal(t, c.want, n.call(t, c.gateways, c.method, c.params))
				require.Equal(t, c.takes, time.Since(start))
				time.Sleep(5 * time.Second)
			})
		})
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := n.peers["a"].Call(ctx, []string{"b"}, "say", params{After: time.Minute})
		require.NoError(t, err)
		require.Equal(t, " unreachable=[] failed=[b]", describe(r))
		_, err = n.peers["a"].Call(t.Context(), []string{"b"}, "say", func() {})
		require.Error(t, err, "params that cannot be encoded")
		time.Sleep(5 * time.Second)
	})
}

// A response that arrives after the timeout is not taken for a response to the next call.
func TestCallIgnoresLateResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		var late []func()
		n.transmit = func(to string, _ []byte, deliver func()) (bool, error) {
			if to == "a" {
				late = append(late, deliver)
			} else {
				deliver()
			}
			return true, nil
		}
		require.Equal(t, " unreachable=[] failed=[b]", n.call(t, "b", "say", params{Text: "1"}))
		synctest.Wait()
		n.transmit = nil
		result := make(chan string, 1)
		go func() { result <- n.call(t, "b", "say", params{Text: "2", After: time.Second}) }() //nolint:testifylint // awaited
		synctest.Wait()
		for _, deliver := range late {
			deliver()
		}
		require.Equal(t, `b="b2" unreachable=[] failed=[]`, <-result)
	})
}

// A response of a gateway that was not called is ignored.
func TestCallIgnoresForgedResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		result := make(chan string, 1)
		go func() { result <- n.call(t, "b", "say", params{After: time.Second}) }() //nolint:testifylint // the test awaits it
		synctest.Wait()
		n.peers["a"].OnMessage([]byte(`{"n":1,"from":"x","a":"forged"}`))
		n.peers["a"].OnMessage([]byte(`{"n":2,"from":"b","a":"of another call"}`))
		require.Equal(t, `b="b" unreachable=[] failed=[]`, <-result)
	})
}

// A gateway drops requests beyond its limit, and their callers report it as failed.
func TestPeerBoundsConcurrentRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		var group sync.WaitGroup
		results := make(chan string, 300)
		for range 300 {
			group.Go(func() { results <- n.call(t, "b", "say", params{After: time.Second}) })
		}
		group.Wait()
		close(results)
		count := map[string]int{}
		for r := range results {
			count[r]++
		}
		require.Equal(t, map[string]int{`b="b" unreachable=[] failed=[]`: 256, ` unreachable=[] failed=[b]`: 44}, count)
		require.Contains(t, n.logged(), "more requests than this one can handle")
		require.Equal(t, `b="b" unreachable=[] failed=[]`, n.call(t, "b", "say", params{}), "later there is room again")
	})
}

func TestOnMessageIgnoresGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a")
		for _, garbage := range []string{"", "secret", "{", "null", "[]", `{"n":-1}`, `{"n":1}`, `{"q":"say"}`, `{"from":5}`,
			"\x00"} {
			n.peers["a"].OnMessage([]byte(garbage))
		}
		synctest.Wait()
		require.Equal(t, 1, strings.Count(n.logged(), "\n"), "one line for all of them")
		require.Contains(t, n.logged(), "no gateway wrote")
		require.NotContains(t, n.logged(), "secret")
		require.Equal(t, `a="a" unreachable=[] failed=[]`, n.call(t, "a", "say", params{}))
	})
}

// During a rolling update gateways of two versions exchange this JSON.
func TestWireFormatKeepsItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		var sent []string
		n.transmit = func(_ string, message []byte, deliver func()) (bool, error) {
			sent = append(sent, string(message))
			deliver()
			return true, nil
		}
		require.Contains(t, n.call(t, "b", "say", params{}), `b="b"`)
		require.Contains(t, n.call(t, "b", "say", params{Fail: true}), "failed=[b]")
		require.Equal(t, []string{
			`{"n":1,"from":"a","q":"say","args":{"Text":"","After":0,"Fail":false,"Bug":false}}`,
			`{"n":1,"from":"b","a":"b"}`,
			`{"n":2,"from":"a","q":"say","args":{"Text":"","After":0,"Fail":true,"Bug":false}}`,
			`{"n":2,"from":"b","problem":"it does not go"}`,
		}, sent)
	})
}

// FuzzOnMessage passes arbitrary messages to a peer, also during a call.
func FuzzOnMessage(f *testing.F) {
	for _, seed := range []string{`{"n":1,"from":"b","a":1}`, `{"n":1,"from":"b","problem":"p"}`,
		`{"n":1,"from":"b","q":"say","args":{"Text":"x"}}`, `{"n":18446744073709551616,"from":"b"}`,
		`{"n":1,"from":"a","q":"say","args":null}`, `{"n":1,"from":"a","q":"none"}`, `{}`, ``, `{"from":""}`,
		`{"n":1,"from":"b","q":"say","args":{"After":"x"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork("a", "b")
			var once sync.Once
			n.transmit = func(_ string, _ []byte, deliver func()) (bool, error) {
				once.Do(func() { n.peers["a"].OnMessage(message) })
				deliver()
				return true, nil
			}
			r, err := n.peers["a"].Call(t.Context(), []string{"b"}, "say", params{})
			require.NoError(t, err)
			require.Len(t, append(r.Failed, r.Unreachable...), 1-len(r.ByGateway),
				"b responds or fails, and no other gateway does")
			n.peers["a"].OnMessage(message)
			time.Sleep(10 * time.Second)
		})
	})
}

// A handler that panics ends neither the process nor holds its slot. The panic's value may be a payload, so it appears
// neither in the response nor in the log.
func TestPeerSurvivesPanicOfHandler(t *testing.T) {
	n := newNetwork("a", "b")
	problems := 0
	n.transmit = func(to string, message []byte, deliver func()) (bool, error) {
		if to == "a" && strings.Contains(string(message), "problem") {
			problems++
			require.NotContains(t, string(message), "5ecre7")
		}
		deliver()
		return true, nil
	}
	for range 300 {
		require.Equal(t, " unreachable=[] failed=[b]", n.call(t, "b", "say", params{Text: "5ecre7", Bug: true}))
	}
	require.Equal(t, 300, problems)
	require.Equal(t, `b="b" unreachable=[] failed=[]`, n.call(t, "b", "say", params{}))
	require.Contains(t, n.logged(), "panic.type=string")
	require.Contains(t, n.logged(), "goroutine")
	require.NotContains(t, n.logged(), "5ecre7")
}
