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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is instances by name. What happens to a message on its way is up to the test.
type network struct {
	mu        sync.Mutex
	instances map[string]*rpc.Peers
	// way, if it is there, says what becomes of a message to an instance: deliver takes it there.
	way func(to string, message []byte, deliver func()) (reached bool, err error)
	log strings.Builder
}

// Send implements rpc.Sender.
func (n *network) Send(_ context.Context, instance string, message []byte) (bool, error) {
	n.mu.Lock()
	to, way := n.instances[instance], n.way
	n.mu.Unlock()
	if to == nil {
		return false, nil
	}
	deliver := func() { to.OnMessage(message) }
	if way != nil {
		return way(instance, message, deliver)
	}
	deliver()
	return true, nil
}

// Write keeps the log.
func (n *network) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *network) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// question is what instances are asked in tests: how they shall answer.
type question struct {
	// Text comes back with the name of the instance.
	Text string
	// After is when; Fail is with an error.
	After time.Duration
	Fail  bool
	// Bug panics with the text.
	Bug bool
}

// newNetwork makes instances that answer the question "say".
func newNetwork(names ...string) *network {
	n := &network{instances: map[string]*rpc.Peers{}}
	for _, name := range names {
		n.instances[name] = rpc.New(rpc.Options{
			Instance: name, Sender: n, Logger: slog.New(slog.NewTextHandler(n, nil)),
			Handlers: map[string]rpc.Handler{"say": func(ctx context.Context, arguments json.RawMessage) (any, error) {
				var q question
				if err := json.Unmarshal(arguments, &q); err != nil {
					return nil, err
				}
				if q.Bug {
					panic(q.Text)
				}
				if q.Fail {
					return nil, errors.New("it does not go")
				}
				if q.After > 0 {
					select {
					case <-time.After(q.After):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}
				return name + q.Text, nil
			}},
		})
	}
	return n
}

func (n *network) ask(t *testing.T, instances, name string, arguments any) string {
	t.Helper()
	r, err := n.instances["a"].Ask(t.Context(), strings.Fields(instances), name, arguments)
	require.NoError(t, err)
	return describe(r)
}

func describe(r rpc.Result) string {
	var answers []string
	for instance, answer := range r.Answers {
		answers = append(answers, instance+"="+string(answer))
	}
	slices.Sort(answers)
	slices.Sort(r.Gone)
	slices.Sort(r.Silent)
	return fmt.Sprintf("%s gone=%v silent=%v", strings.Join(answers, " "), r.Gone, r.Silent)
}

func TestAsking(t *testing.T) {
	for name, c := range map[string]struct {
		instances string
		question  any
		name      string
		way       func(to string, message []byte, deliver func()) (bool, error)
		want      string
		takes     time.Duration
	}{
		"nobody":              {"", question{}, "say", nil, " gone=[] silent=[]", 0},
		"itself":              {"a", question{Text: "!"}, "say", nil, `a="a!" gone=[] silent=[]`, 0},
		"others":              {"a b c", question{Text: "!"}, "say", nil, `a="a!" b="b!" c="c!" gone=[] silent=[]`, 0},
		"somebody twice":      {"b b", question{Text: "!"}, "say", nil, `b="b!" gone=[] silent=[]`, 0},
		"some that are gone":  {"b x c y", question{}, "say", nil, `b="b" c="c" gone=[x y] silent=[]`, 0},
		"slowly":              {"a b", question{After: time.Second}, "say", nil, `a="a" b="b" gone=[] silent=[]`, time.Second},
		"too slowly":          {"a b", question{After: 3 * time.Second}, "say", nil, ` gone=[] silent=[a b]`, 2 * time.Second},
		"with a problem":      {"a b", question{Fail: true}, "say", nil, ` gone=[] silent=[a b]`, 0},
		"that meets a bug":    {"a b", question{Bug: true}, "say", nil, ` gone=[] silent=[a b]`, 0},
		"what nobody knows":   {"a b", question{}, "sing", nil, ` gone=[] silent=[a b]`, 0},
		"what is no question": {"a b", "text", "say", nil, ` gone=[] silent=[a b]`, 0},
		"whom the broker cannot reach": {"b c", question{}, "say", func(to string, _ []byte, deliver func()) (bool, error) {
			if to == "b" {
				return false, errors.New("down")
			}
			deliver()
			return true, nil
		}, `c="c" gone=[] silent=[b]`, 0},
		"whom messages do not reach": {"b c", question{}, "say", func(to string, _ []byte, deliver func()) (bool, error) {
			if to != "b" {
				deliver()
			}
			return true, nil
		}, `c="c" gone=[] silent=[b]`, 2 * time.Second},
		"whose answers are lost": {"b c", question{}, "say", func(to string, _ []byte, deliver func()) (bool, error) {
			if to != "a" {
				deliver()
			}
			return true, nil
		}, ` gone=[] silent=[b c]`, 2 * time.Second},
		"whose answers come twice": {"b c", question{}, "say", func(_ string, _ []byte, deliver func()) (bool, error) {
			deliver()
			deliver()
			return true, nil
		}, `b="b" c="c" gone=[] silent=[]`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a", "b", "c")
				n.way = c.way
				start := time.Now()
				require.Equal(t, c.want, n.ask(t, c.instances, c.name, c.question))
				require.Equal(t, c.takes, time.Since(start))
				time.Sleep(5 * time.Second)
			})
		})
	}
}

func TestAskingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := n.instances["a"].Ask(ctx, []string{"b"}, "say", question{After: time.Minute})
		require.NoError(t, err)
		require.Equal(t, " gone=[] silent=[b]", describe(r))
		_, err = n.instances["a"].Ask(t.Context(), []string{"b"}, "say", func() {})
		require.Error(t, err, "what cannot be written is not asked")
		time.Sleep(5 * time.Second)
	})
}

// An answer to a question that nobody waits for any more is none to the next.
func TestLateAnswersAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		var late []func()
		n.way = func(to string, _ []byte, deliver func()) (bool, error) {
			if to == "a" {
				late = append(late, deliver)
			} else {
				deliver()
			}
			return true, nil
		}
		require.Equal(t, " gone=[] silent=[b]", n.ask(t, "b", "say", question{Text: "1"}))
		synctest.Wait()
		n.way = nil
		answered := make(chan string, 1)
		go func() { answered <- n.ask(t, "b", "say", question{Text: "2", After: time.Second}) }()
		synctest.Wait()
		for _, deliver := range late {
			deliver()
		}
		require.Equal(t, `b="b2" gone=[] silent=[]`, <-answered)
	})
}

// Who was not asked does not answer.
func TestUnaskedAnswersAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		answered := make(chan string, 1)
		go func() { answered <- n.ask(t, "b", "say", question{After: time.Second}) }()
		synctest.Wait()
		n.instances["a"].OnMessage([]byte(`{"n":1,"from":"x","a":"forged"}`))
		n.instances["a"].OnMessage([]byte(`{"n":2,"from":"b","a":"of another question"}`))
		require.Equal(t, `b="b" gone=[] silent=[]`, <-answered)
	})
}

// What is asked at once is bounded: the rest is not answered, which tells who asked.
func TestCrowdsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a", "b")
		var group sync.WaitGroup
		results := make(chan string, 300)
		for range 300 {
			group.Go(func() { results <- n.ask(t, "b", "say", question{After: time.Second}) })
		}
		group.Wait()
		close(results)
		count := map[string]int{}
		for r := range results {
			count[r]++
		}
		require.Equal(t, map[string]int{`b="b" gone=[] silent=[]`: 256, ` gone=[] silent=[b]`: 44}, count)
		require.Contains(t, n.logged(), "ask more than this one can answer")
		require.Equal(t, `b="b" gone=[] silent=[]`, n.ask(t, "b", "say", question{}), "later there is room again")
	})
}

func TestGarbageIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a")
		for _, garbage := range []string{"", "secret", "{", "null", "[]", `{"n":-1}`, `{"n":1}`, `{"q":"say"}`, `{"from":5}`, "\x00"} {
			n.instances["a"].OnMessage([]byte(garbage))
		}
		synctest.Wait()
		require.Equal(t, 1, strings.Count(n.logged(), "\n"), "once in a while is enough")
		require.Contains(t, n.logged(), "no gateway wrote")
		require.NotContains(t, n.logged(), "secret")
		require.Equal(t, `a="a" gone=[] silent=[]`, n.ask(t, "a", "say", question{}))
	})
}

// FuzzHeard hears anything, also while it waits for an answer.
func FuzzHeard(f *testing.F) {
	for _, seed := range []string{
		`{"n":1,"from":"b","a":1}`, `{"n":1,"from":"b","problem":"p"}`, `{"n":1,"from":"b","q":"say","args":{"Text":"x"}}`, `{"n":18446744073709551616,"from":"b"}`,
		`{"n":1,"from":"a","q":"say","args":null}`, `{"n":1,"from":"a","q":"none"}`, `{}`, ``, `{"from":""}`, `{"n":1,"from":"b","q":"say","args":{"After":"x"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork("a", "b")
			var once sync.Once
			n.way = func(_ string, _ []byte, deliver func()) (bool, error) {
				once.Do(func() { n.instances["a"].OnMessage(message) })
				deliver()
				return true, nil
			}
			r, err := n.instances["a"].Ask(t.Context(), []string{"b"}, "say", question{})
			require.NoError(t, err)
			require.Len(t, append(r.Silent, r.Gone...), 1-len(r.Answers), "b answers or does not, and nobody else")
			n.instances["a"].OnMessage(message)
			time.Sleep(10 * time.Second)
		})
	})
}

// A bug ends no gateway and keeps no slot, and what it panicked with, which may be a payload, is told to
// nobody.
func TestABugEndsOneQuestion(t *testing.T) {
	n := newNetwork("a", "b")
	problems := 0
	n.way = func(to string, message []byte, deliver func()) (bool, error) {
		if to == "a" && strings.Contains(string(message), "problem") {
			problems++
			require.NotContains(t, string(message), "5ecre7")
		}
		deliver()
		return true, nil
	}
	for range 300 {
		require.Equal(t, " gone=[] silent=[b]", n.ask(t, "b", "say", question{Text: "5ecre7", Bug: true}))
	}
	require.Equal(t, 300, problems)
	require.Equal(t, `b="b" gone=[] silent=[]`, n.ask(t, "b", "say", question{}))
	require.Contains(t, n.logged(), "panic.type=string")
	require.Contains(t, n.logged(), "goroutine")
	require.NotContains(t, n.logged(), "5ecre7")
}
