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

// recoveringStorm returns the options of a storm whose clients miss messages, because they reconnect over 300 ms.
func recoveringStorm(url string, change func(*Options)) Options {
	return options(Storm, url, func(o *Options) {
		o.Recover, o.Clients, o.Rate, o.Jitter, o.Timeout = true, 12, 200, 300*time.Millisecond, 5*time.Second
		change(o)
	})
}

func recoverableRule(pattern string, size int) channel.Rule {
	return channel.Rule{
		Pattern:  pattern,
		History:  channel.History{Size: size, TTL: channel.Duration(time.Minute)},
		Recovery: true,
	}
}

func TestRunStormRecovers(t *testing.T) {
	t.Parallel()
	url := startGateway(t, recoverableRule("*", 10_000))
	for name, c := range map[string]struct{ processes, subscriptions int }{
		"one process": {1, 1}, "several processes": {3, 1}, "several channels a client": {2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, recoveringStorm(url, func(o *Options) {
				o.Processes, o.Channels, o.Cycles, o.ChannelPrefix = c.processes, 3, 2, strings.ReplaceAll(name, " ", "-")
				o.Subscriptions, o.Timeout = c.subscriptions, time.Minute
			}))
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
			require.Equal(t, int64(5*c.subscriptions)*r.Publish.Sent, r.Delivery.Expected,
				"four clients and a publisher begin at each channel")
			require.Equal(t, r.Delivery.Expected, r.Delivery.Received)
			require.Zero(t, r.Delivery.Lost+r.Delivery.Duplicated+r.Delivery.Reordered)
			require.Equal(t, r.Publish.Sent, r.Publish.Acknowledged)
		})
	}
}

func TestRunStormCountsLossBeyondHistory(t *testing.T) {
	t.Parallel()
	r := run(t, recoveringStorm(startGateway(t, recoverableRule("*", 1)), func(*Options) {}))
	require.Empty(t, r.Failures, "it is a finding")
	require.Positive(t, r.Steps[0].Recovery.Unrecovered)
	require.Positive(t, r.Delivery.Lost)
	require.Zero(t, r.Delivery.Duplicated+r.Delivery.Reordered)
}

func TestRunStormReportsChannelWithoutRecovery(t *testing.T) {
	t.Parallel()
	r := run(t, recoveringStorm(startGateway(t), func(*Options) {}))
	require.Zero(t, r.Connect.Connected)
	require.Contains(t, r.Connect.Errors, errNoRecovery.Error())
}

// fakeHistory is the history of a fakeServer, whose mu guards it.
type fakeHistory struct {
	lines []string
	// corrupt changes the publications that a client recovers.
	corrupt func(missedPublication []string) []string
	// linesAtReconnect is the number of lines when the client reconnected first.
	linesAtReconnect int
}

func (k *fakeHistory) publish(data string) (offset int) {
	k.lines = append(k.lines, data)
	return len(k.lines)
}

// accept refuses the third handshake, the client's reconnect, until the client has missed some messages.
func (k *fakeHistory) accept(handshakes int) int {
	const missed = 3
	if handshakes == 3 {
		k.linesAtReconnect = len(k.lines)
	}
	if handshakes >= 3 && len(k.lines) < k.linesAtReconnect+missed {
		return http.StatusServiceUnavailable
	}
	return 0
}

func (k *fakeHistory) subscribe(command string) string {
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
	for _, data := range k.corrupt(k.lines[s.Offset:]) {
		publications = append(publications, fmt.Sprintf(`{"data":%s,"offset":%d}`, data, 1+slices.Index(k.lines, data)))
	}
	return fmt.Sprintf(
		`{"recoverable":true,"epoch":"e","offset":%d,"was_recovering":true,"recovered":%t,"publications":[%s]}`, s.Offset,
		s.Epoch == "e", strings.Join(publications, ","))
}

// The mistakes concern the last missed messages, because the first ones may be older than the measured time.
func TestRunStormCountsRecoveryMistakes(t *testing.T) {
	t.Parallel()
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
			k := &fakeHistory{corrupt: c.spoil}
			f := startFakeServer(t, func(f *fakeServer) {
				f.accept, f.subscribe = k.accept, k.subscribe
				f.deliver = func(p *fakePeer, line []byte) { p.send(string(line)) }
				f.publicationSuffix = func(data string) string { return fmt.Sprintf(`,"offset":%d`, k.publish(data)) }
			})
			r := run(t, recoveringStorm(f.url(), func(o *Options) { o.Clients, o.Warmup = 1, 200*time.Millisecond }))
			require.Empty(t, r.Failures)
			require.Equal(t, int64(1), r.Steps[0].Recovery.Recovered)
			require.Equal(t, c.lost, r.Delivery.Lost, "lost")
			require.Equal(t, c.duplicated, r.Delivery.Duplicated, "duplicated")
			require.Equal(t, c.reordered, r.Delivery.Reordered, "reordered")
		})
	}
}

func TestFindOffset(t *testing.T) {
	t.Parallel()
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

// A client that is disconnected again recovers from the end of what it recovered before.
func TestCentrifugeStartSubscriptionAdvancesPosition(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]subscribeResult{
		"nothing missed": {Recoverable: true, Epoch: "e", Offset: 7},
		"some missed": {
			Recoverable:  true,
			Recovered:    true,
			Epoch:        "e",
			Offset:       4,
			Publications: []missedPublication{{Offset: 5}, {Offset: 6}, {Offset: 7}},
		},
	} {
		c := &client{resume: newResumeState(1), ready: make(chan error, 1)}
		require.NoError(t, centrifuge{}.startSubscription(c, 0, &s, 0), name)
		require.Equal(t, []position{{"e", 7}}, c.resume.positions, name)
	}
}

// A client with several channels is connecting until it has them all, and what comes meanwhile counts too.
func TestCentrifugeCountsPublicationsBetweenSubscriptions(t *testing.T) {
	t.Parallel()
	c, _ := newTestClient(t, Centrifuge)
	w := c.shard.worker
	w.plan = plan{total: 4, extra: 4, channels: 4, processes: 1, subscriptions: 2, prefix: "load-"}
	c.id, c.unsubscribed, c.resume = 1, 2, newResumeState(2)
	c.state.Store(connecting)
	publication := func(publisher, number uint32, offset int) string {
		m := message{run: 1, publisher: publisher, number: number, time: 5}
		return fmt.Sprintf(`{"push":{"channel":"load-%d","pub":{"data":%s,"offset":%d}}}`+"\n", publisher,
			m.appendTo(nil, minMessageBytes), offset)
	}
	subscribed := func(id uint32) string {
		return fmt.Sprintf(`{"id":%d,"subscribe":{"recoverable":true,"epoch":"e","offset":3}}`+"\n", id)
	}
	for _, line := range []string{
		subscribed(idSubscribe), publication(1, 1, 4), subscribed(idFurther + 1), publication(2, 1, 4), publication(1, 2, 5),
		publication(3, 1, 9),
	} {
		require.NoError(t, w.protocol.handleMessage(c, []byte(line), 10))
	}
	require.Equal(t, open, c.state.Load())
	require.Equal(t, int64(3), c.shard.counts.received, "the client has the channels 1 and 2")
	require.Equal(t, []position{{"e", 5}, {"e", 4}}, c.resume.positions)
}

func TestRecoveryNeedsEveryChannel(t *testing.T) {
	t.Parallel()
	for want, answers := range map[recovery][]subscribeResult{
		{requested: true, recovered: true, publications: 3}: {
			{Recovered: true, Publications: make([]missedPublication, 1)},
			{Recovered: true, Publications: make([]missedPublication, 2)},
		},
		{requested: true, publications: 1}: {{Recovered: true, Publications: make([]missedPublication, 1)}, {}},
		{requested: true, publications: 2}: {{}, {Recovered: true, Publications: make([]missedPublication, 2)}},
		{}:                                 {},
	} {
		var got recovery
		for i := range answers {
			got.add(&answers[i])
		}
		require.Equal(t, want, got)
	}
}

func TestCentrifugeSubscribeFramesCarryThePosition(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]resumeState{
		`{"channel":"c"}`:                                         {},
		`{"channel":"c","recoverable":true}`:                      *newResumeState(1),
		`{"channel":"c","recover":true,"epoch":"e\"","offset":7}`: {positions: []position{{`e"`, 7}}},
	} {
		first, then := centrifuge{}.subscribeFrames([]string{"c"}, &p)
		require.Equal(t, `{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":`+want+`}`, string(first))
		require.Nil(t, then)
	}
}

func TestCentrifugeSubscribeFramesConnectFirst(t *testing.T) {
	t.Parallel()
	first, then := centrifuge{connectFirst: true}.subscribeFrames([]string{"a", "b", "c"}, &resumeState{})
	require.JSONEq(t, `{"id":1,"connect":{}}`, string(first))
	//nolint:testifylint // one command a line
	require.Equal(t, `{"id":2,"subscribe":{"channel":"a"}}`+"\n"+`{"id":2147483649,"subscribe":{"channel":"b"}}`+"\n"+
		`{"id":2147483650,"subscribe":{"channel":"c"}}`, string(then))
}
