package redis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// A script's keys must be in one slot of a Redis Cluster, and a script publishes where its keys are.
func TestNamesOfOneChannelAreInOneSlot(t *testing.T) {
	n := names{prefix: "wsfleet:{ns/name}:", sharded: true}
	for _, channel := range []string{"lobby", "{a}", "", "x}y", "user#5"} {
		key, _ := n.channel(channel)
		head := key[:strings.Index(key, "}")+1]
		stream, position := n.stream(channel)
		for _, name := range append(n.presence(channel), stream, position, n.idempotency(channel, "}{"), n.occupants(channel),
			n.occupied(n.part(channel)), n.expiryWatch(n.part(channel))) {
			require.True(t, strings.HasPrefix(name, head+n.prefix), name)
		}
	}
	for _, name := range append(n.gateways(), n.userGateways("u"), n.revoked("u")) {
		require.Regexp(t, `^\{\d\d\}wsfleet:`, name)
	}
}

// What two things are called is never the same.
func TestNamesDiffer(t *testing.T) {
	n := names{prefix: "p:"}
	seen := map[string]bool{}
	for _, name := range []string{"a", "m:a", "a:b", "u:a"} {
		channel, _ := n.channel(name)
		inbox, _ := n.inbox(name)
		stream, position := n.stream(name)
		all := append(n.presence(name), channel, inbox, stream, position, n.occupants(name),
			n.userGateways(name), n.revoked(name),
			n.probe(0, name))
		for _, key := range []string{"a", "b:a", "a:b"} {
			all = append(all, n.idempotency(name, key))
		}
		for _, key := range append(all, append(n.gateways(), n.occupied(0), n.expiryWatch(0))...) {
			require.False(t, seen[key], key)
			seen[key] = true
		}
		for _, key := range append(n.gateways(), n.occupied(0), n.expiryWatch(0)) {
			delete(seen, key)
		}
	}
}

func TestChunksSplitLargeCalls(t *testing.T) {
	b := &Broker{names: names{sharded: true}}
	var all []string
	for i := range 5000 {
		all = append(all, strings.Repeat("x", i%50)+string(rune('a'+i%26)))
	}
	var back []string
	for _, chunk := range b.chunks(all) {
		require.LessOrEqual(t, len(chunk), maxChunk)
		for _, name := range chunk {
			require.Equal(t, b.names.part(chunk[0]), b.names.part(name))
		}
		back = append(back, chunk...)
	}
	require.ElementsMatch(t, all, back)
	require.Empty(t, b.chunks(nil))
}

// Replies that no script of ours gives are errors, and no panics.
func TestDecodersRejectUnexpectedReplies(t *testing.T) {
	for _, reply := range []any{nil, "x", int64(1), []any{}, []any{int64(0), "", "x", "e"}, []any{"1", "e", "x"},
		[]any{"1", "e", []any{"x"}}, []any{"1", "e", []any{[]any{"1-0", []any{"p"}}}},
		[]any{"1", "e", []any{[]any{"x", []any{"p", ""}}}}, []any{"x", "e", []any{}},
	} {
		_, err := published(reply, "")
		require.Error(t, err, "%v", reply)
		_, err = readStream(reply)
		require.Error(t, err, "%v", reply)
	}
	for _, reply := range []any{nil, []any{}, []any{"x", "y"}, []any{[]any{int64(1)}, []any{}},
		[]any{[]any{}, []any{nil}}} {
		_, err := current(reply)
		require.Error(t, err, "%v", reply)
	}
	for _, reply := range []any{nil, "x", int64(1), []any{}, []any{int64(0)}, []any{int64(0), "x"},
		[]any{int64(0), []any{nil}}} {
		_, err := readMembers(reply)
		require.Error(t, err, "%v", reply)
	}
	odd, err := current([]any{[]any{"a"}, []any{}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "a"}, odd)
}

func FuzzDecodeMember(f *testing.F) {
	for _, m := range []broker.ClientInfo{{}, {Client: "c", User: "a:b", ConnInfo: []byte("{}"), ChanInfo: []byte("1")}} {
		f.Add(string(encodeMember(m)))
		back, err := decodeMember(string(encodeMember(m)))
		require.NoError(f, err)
		require.Equal(f, m, back)
	}
	for _, s := range []string{"", ":", "+", "+1:", "+-1:x", "+9999999999999999999:", "-0:"} {
		f.Add(s)
		_, err := decodeMember(s)
		require.Error(f, err)
	}
	f.Fuzz(func(_ *testing.T, s string) { _, _ = decodeMember(s) })
}
