package tail_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/tail"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTimeout is the maximum time that a test waits for something that should happen at once.
const waitTimeout = 10 * time.Second

// kept is the rule of channels with history.
var kept = channel.Rule{Pattern: "kept", History: channel.History{Size: 10, TTL: channel.Duration(time.Hour)}}

// harness has the streams of a hub with a broker in memory.
type harness struct {
	*tail.Streams
	t      *testing.T
	broker broker.Broker
}

// noMessages is a broker.MessageHandler without other gateways.
type noMessages struct{}

func (noMessages) OnMessage([]byte) {}

func start(t *testing.T, change ...func(*tail.Options)) harness {
	t.Helper()
	b := memory.New(memory.Options{Instance: "gateway-1"})
	h := hub.New(hub.Options{Broker: b, Rules: channel.Rules{kept}, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var running errgroup.Group
	running.Go(func() error { return b.Run(ctx, h, noMessages{}) })
	running.Go(func() error { return h.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		require.NoError(t, running.Wait())
	})
	o := tail.Options{
		Hub: h,
		CheckChannel: func(name string) error {
			if name == "" {
				return errors.New("is no name")
			}
			return nil
		},
		History:         b.History,
		MaxHistoryBytes: 1 << 20,
	}
	for _, set := range change {
		set(&o)
	}
	return harness{tail.New(o), t, b}
}

// publish publishes JSON.
func (h harness) publish(name string, p broker.Publication) {
	h.t.Helper()
	options := broker.PublishOptions{History: channel.Rules{kept}.For(name).History}
	_, err := h.broker.Publish(h.t.Context(), name, p, options)
	require.NoError(h.t, err)
}

// open opens a stream that the test closes at its end.
func (h harness) open(name string, history int) *tail.Stream {
	h.t.Helper()
	s, err := h.Open(h.t.Context(), name, history)
	require.NoError(h.t, err)
	h.t.Cleanup(s.Close)
	return s
}

// read returns the next n lines of a stream, or fewer and why it ended.
func read(t *testing.T, s *tail.Stream, n int) (got []contract.TailLine, ended string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	for len(got) < n && ended == "" {
		var lines [][]byte
		lines, ended = s.Next(ctx)
		require.NoError(t, ctx.Err(), "no line comes")
		for _, text := range lines {
			var line contract.TailLine
			require.NoError(t, json.Unmarshal(text, &line), string(text))
			got = append(got, line)
		}
	}
	return got, ended
}

func TestStreamHasWhatIsPublished(t *testing.T) {
	h := start(t)
	s := h.open("news", 0)
	lines, _ := read(t, s, 1)
	require.Equal(t, &contract.TailStarted{Channel: "news"}, lines[0].Started)
	info := &broker.ClientInfo{Client: "c1", User: "alice"}
	h.publish("news", broker.Publication{Data: []byte(`{"a":"<b>"}`), Info: info, Tags: map[string]string{"k": "v"}})
	h.publish("news", broker.Publication{Data: []byte("no JSON")})
	h.publish("news", broker.Publication{Data: []byte("\x00\xff"), Binary: true})
	h.publish("other", broker.Publication{Data: []byte("1")})
	h.publish("news", broker.Publication{Data: []byte("2")})
	lines, _ = read(t, s, 4)
	for i, want := range []contract.TailPublication{
		{Data: json.RawMessage(`{"a":"<b>"}`), Client: "c1", User: "alice", Tags: map[string]string{"k": "v"}},
		{Data: json.RawMessage(`"no JSON"`)},
		{B64Data: []byte("\x00\xff")},
		{Data: json.RawMessage(`2`)},
	} {
		got := *lines[i].Publication
		if want.Data != nil {
			require.JSONEq(t, string(want.Data), string(got.Data))
		}
		got.Data, want.Data = nil, nil
		require.Equal(t, want, got)
	}
}

func TestStreamBeginsWithTheHistory(t *testing.T) {
	h := start(t)
	for i := range 5 {
		h.publish("kept", broker.Publication{Data: []byte(strconv.Itoa(i + 1))})
	}
	all := []string{"1", "2", "3", "4", "5"}
	for history, want := range map[int][]string{0: {}, 2: {"4", "5"}, 5: all, 100: all} {
		s := h.open("kept", history)
		lines, _ := read(t, s, 1+len(want))
		require.Equal(t, uint64(5), lines[0].Started.Offset)
		require.Equal(t, len(want), lines[0].Started.History)
		for i, data := range want {
			require.Equal(t, data, string(lines[i+1].Publication.Data))
			require.Equal(t, uint64(6-len(want)+i), lines[i+1].Publication.Offset)
			require.Equal(t, lines[0].Started.Epoch, lines[i+1].Publication.Epoch)
		}
	}
	s := h.open("kept", 1)
	read(t, s, 2)
	h.publish("kept", broker.Publication{Data: []byte("6")})
	lines, _ := read(t, s, 1)
	require.Equal(t, uint64(6), lines[0].Publication.Offset, "neither missing nor twice")
}

// What is too large to be read at once comes short, and not as an error.
func TestStreamBeginsWithAsMuchHistoryAsHasRoom(t *testing.T) {
	h := start(t, func(o *tail.Options) { o.MaxHistoryBytes = 3000 })
	for range 5 {
		h.publish("kept", broker.Publication{Data: []byte(`"` + strings.Repeat("x", 1000) + `"`)})
	}
	lines, ended := read(t, h.open("kept", 5), 1)
	require.Empty(t, ended)
	require.Positive(t, lines[0].Started.History)
	require.Less(t, lines[0].Started.History, 5)
}

func TestOpenRefuses(t *testing.T) {
	h := start(t)
	_, err := h.Open(t.Context(), "", 0)
	require.EqualError(t, err, "channel: is no name")
	_, err = h.Open(t.Context(), "news", 1)
	require.ErrorIs(t, err, tail.ErrNoHistory)
}

func TestOpenSaysThatTheBrokerIsAway(t *testing.T) {
	h := start(t, func(o *tail.Options) {
		o.History = func(context.Context, string, broker.HistoryQuery) (broker.Stream, error) {
			return broker.Stream{}, broker.ErrUnavailable
		}
	})
	_, err := h.Open(t.Context(), "kept", 0)
	require.ErrorIs(t, err, tail.ErrUnavailable)
}

func TestStreamsAreLimited(t *testing.T) {
	h := start(t)
	var last *tail.Stream
	for range tail.MaxStreams {
		last = h.open("news", 0)
	}
	_, err := h.Open(t.Context(), "news", 0)
	require.ErrorIs(t, err, tail.ErrTooMany)
	last.Close()
	h.open("news", 0)
}

// A reader that does not keep up is told so, and the gateway keeps no more than a bound for it.
func TestStreamOfASlowReaderEnds(t *testing.T) {
	h := start(t)
	s, fast := h.open("news", 0), h.open("news", 0)
	read(t, s, 1)
	read(t, fast, 1)
	data := []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	for range 6 {
		h.publish("news", broker.Publication{Data: data})
		lines, ended := read(t, fast, 1)
		require.Len(t, lines, 1)
		require.Empty(t, ended)
	}
	lines, ended := read(t, s, 100)
	require.Len(t, lines, 3, "those for which there was room")
	require.Contains(t, ended, "slower than the channel")
	_, again := read(t, s, 1)
	require.Equal(t, ended, again)
}

func TestStreamsEndWithTheGateway(t *testing.T) {
	h := start(t)
	s := h.open("news", 0)
	read(t, s, 1)
	h.End()
	lines, ended := read(t, s, 1)
	require.Empty(t, lines)
	require.Contains(t, ended, "the gateway ends")
	_, err := h.Open(t.Context(), "news", 0)
	require.ErrorIs(t, err, tail.ErrEnding)
}
