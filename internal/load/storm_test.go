package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/channel"
)

// recovering is a storm whose clients miss something: they come back over a while.
func recovering(url string, change func(*Options)) Options {
	return options(Storm, url, func(o *Options) {
		o.Recover, o.Clients, o.Rate, o.Jitter, o.Timeout = true, 12, 200, 300*time.Millisecond, time.Second
		change(o)
	})
}

func kept(pattern string, size int) channel.Rule {
	return channel.Rule{
		Pattern:  pattern,
		History:  channel.History{Size: size, TTL: channel.Duration(time.Minute)},
		Recovery: true,
	}
}

func TestAStormThatRecovers(t *testing.T) {
	url := startGateway(t, kept("*", 10_000))
	for name, processes := range map[string]int{"one": 1, "several": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t,
				recovering(url, func(o *Options) { o.Processes, o.Channels, o.Cycles, o.ChannelPrefix = processes, 3, 2, name }))
			require.Empty(t, r.Failures)
			require.Equal(t, int64(15), r.Connect.Connected, "a publisher for each channel")
			require.Len(t, r.Steps, 2)
			for _, s := range r.Steps {
				require.Equal(t, 12, s.Clients)
				require.Equal(t, int64(12), s.Recovery.Recovered)
				require.Zero(t, s.Recovery.Unrecovered)
				require.Positive(t, s.Recovery.Publications)
			}
			require.Positive(t, r.Publish.Sent)
			require.Equal(t, 5*r.Publish.Sent, r.Delivery.Expected, "four clients and a publisher in each channel")
			require.Equal(t, r.Delivery.Expected, r.Delivery.Received)
			require.Zero(t, r.Delivery.Lost+r.Delivery.Duplicated+r.Delivery.Reordered)
			require.Equal(t, r.Publish.Sent, r.Publish.Acknowledged)
		})
	}
}

func TestWhatAHistoryDoesNotHaveIsLost(t *testing.T) {
	r := run(t, recovering(startGateway(t, kept("*", 1)), func(*Options) {}))
	require.Empty(t, r.Failures, "it is a finding")
	require.Positive(t, r.Steps[0].Recovery.Unrecovered)
	require.Positive(t, r.Delivery.Lost)
	require.Zero(t, r.Delivery.Duplicated+r.Delivery.Reordered)
}

func TestAChannelWithoutRecoveryIsToldOf(t *testing.T) {
	r := run(t, recovering(startGateway(t), func(*Options) {}))
	require.Zero(t, r.Connect.Connected)
	require.Contains(t, r.Connect.Errors, errNoRecovery.Error())
}

// keeper is a server's history; the server's lock guards it.
type keeper struct {
	lines []string
	// spoil changes what a client recovers.
	spoil func(missed []string) []string
	// cut is how many lines there were when the client came back first.
	cut int
}

func (k *keeper) publish(data string) (offset int) {
	k.lines = append(k.lines, data)
	return len(k.lines)
}

// accept lets the client come back when it has missed something: after its publisher and itself.
func (k *keeper) accept(handshakes int) int {
	const missed = 3
	if handshakes == 3 {
		k.cut = len(k.lines)
	}
	if handshakes >= 3 && len(k.lines) < k.cut+missed {
		return http.StatusServiceUnavailable
	}
	return 0
}

func (k *keeper) subscribe(command string) string {
	var c struct {
		Subscribe struct {
			Recoverable, Recover bool
			Epoch                string
			Offset               int
		}
	}
	if err := json.Unmarshal([]byte(command), &c); err != nil {
		return err.Error()
	}
	s := c.Subscribe
	if !s.Recover {
		return fmt.Sprintf(`{"recoverable":%t,"epoch":"e","offset":%d}`, s.Recoverable, len(k.lines))
	}
	var publications []string
	for _, data := range k.spoil(k.lines[s.Offset:]) {
		publications = append(publications, fmt.Sprintf(`{"data":%s,"offset":%d}`, data, 1+slices.Index(k.lines, data)))
	}
	return fmt.Sprintf(
		`{"recoverable":true,"epoch":"e","offset":%d,"was_recovering":true,"recovered":%t,"publications":[%s]}`, s.Offset,
		s.Epoch == "e", strings.Join(publications, ","))
}

// The latest of what was missed are spoiled: the first may be from before anything was counted.
func TestMistakesOfRecoveryAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		spoil                       func([]string) []string
		lost, duplicated, reordered int64
	}{
		"none":       {func(m []string) []string { return m }, 0, 0, 0},
		"lost":       {func(m []string) []string { return append(m[:len(m)-2:len(m)-2], m[len(m)-1]) }, 1, 0, 0},
		"duplicated": {func(m []string) []string { return append(m[:len(m):len(m)], m[len(m)-1]) }, 0, 1, 0},
		"reordered":  {func(m []string) []string { return append(m[:len(m)-2:len(m)-2], m[len(m)-1], m[len(m)-2]) }, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &keeper{spoil: c.spoil}
			f := startFake(t, func(f *fake) {
				f.accept, f.subscribe = k.accept, k.subscribe
				f.deliver = func(p *peer, line []byte) { p.send(string(line)) }
				f.stamp = func(data string) string { return fmt.Sprintf(`,"offset":%d`, k.publish(data)) }
			})
			r := run(t, recovering(f.url(), func(o *Options) { o.Clients, o.Warmup = 1, 200*time.Millisecond }))
			require.Empty(t, r.Failures)
			require.Equal(t, int64(1), r.Steps[0].Recovery.Recovered)
			require.Equal(t, c.lost, r.Delivery.Lost, "lost")
			require.Equal(t, c.duplicated, r.Delivery.Duplicated, "duplicated")
			require.Equal(t, c.reordered, r.Delivery.Reordered, "reordered")
		})
	}
}

func TestFindOffset(t *testing.T) {
	for line, want := range map[string]uint64{
		`{"push":{"channel":"a","pub":{"data":{"m":"x"},"offset":12}}}`:                         12,
		`{"push":{"channel":"a","pub":{"offset":18446744073709551615,"data":{"m":"x"}}}}`:       18446744073709551615,
		`{"push":{"channel":"a","pub":{"data":{"offset":3},"info":{"client":"c"},"offset":4}}}`: 4,
	} {
		offset, found := findOffset([]byte(line))
		require.True(t, found, line)
		require.Equal(t, want, offset, line)
	}
	for _, line := range []string{``, `{}`, `{"offset":`, `{"offset":"1"}`, `{"offset":-1}`,
		`{"offset":18446744073709551616}`} {
		_, found := findOffset([]byte(line))
		require.False(t, found, line)
	}
}

// A client that is cut off again goes on from the end of what it got.
func TestAClientIsBehindWhatItRecovered(t *testing.T) {
	for name, s := range map[string]subscribed{
		"nothing missed": {Recoverable: true, Epoch: "e", Offset: 7},
		"some missed": {
			Recoverable:  true,
			Recovered:    true,
			Epoch:        "e",
			Offset:       4,
			Publications: []missed{{Offset: 5}, {Offset: 6}, {Offset: 7}},
		},
	} {
		c := &client{past: &past{kept: true}, ready: make(chan error, 1)}
		require.NoError(t, centrifuge{}.begin(c, &s, 0), name)
		require.Equal(t, position{"e", 7}, c.past.at, name)
	}
}

func TestHelloSaysWhatTheClientHas(t *testing.T) {
	for want, p := range map[string]past{
		`{"channel":"c"}`:                                         {},
		`{"channel":"c","recoverable":true}`:                      {kept: true},
		`{"channel":"c","recover":true,"epoch":"e\"","offset":7}`: {kept: true, at: position{`e"`, 7}},
	} {
		require.Equal(t, `{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":`+want+`}`, string(centrifuge{}.hello("c", &p)))
	}
}
