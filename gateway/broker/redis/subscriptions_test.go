package redis

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A confirmation that Redis sends for an earlier subscribe must not be taken for a later one's.
func TestSubscriptionsIgnoreAnEarlierConfirmation(t *testing.T) {
	w := newSubscriptions(func(string) {})
	confirmed := 0
	w.subscribe("a", func() { t.Fatal("this subscription was ended") })
	subscribe, _, _ := w.next(batch)
	require.Equal(t, []string{"a"}, subscribe)
	w.unsubscribe("a")
	_, unsubscribe, _ := w.next(batch)
	require.Equal(t, []string{"a"}, unsubscribe)
	w.subscribe("a", func() { confirmed++ })
	subscribe, _, _ = w.next(batch)
	require.Equal(t, []string{"a"}, subscribe)

	require.Nil(t, w.confirm("a"), "the answer to the first subscribe")
	require.True(t, w.unsubscribed("a"), "the answer to the unsubscribe")
	w.confirm("a")()
	require.Equal(t, 1, confirmed)
}

func TestSubscriptionsConfirmANameThatReturnsBeforeItIsUnsubscribed(t *testing.T) {
	w := newSubscriptions(func(string) {})
	w.subscribe("a", func() {})
	w.next(batch)
	w.confirm("a")()

	confirmed := false
	w.unsubscribe("a")
	w.subscribe("a", func() { confirmed = true })
	subscribe, unsubscribe, ready := w.next(batch)
	require.Empty(t, subscribe)
	require.Empty(t, unsubscribe)
	require.Len(t, ready, 1, "Redis still delivers, nothing to wait for")
	ready[0]()
	require.True(t, confirmed)
}

func TestSubscriptionsOfANewConnectionComeInBatches(t *testing.T) {
	var resumed []string
	w := newSubscriptions(func(name string) { resumed = append(resumed, name) })
	for _, name := range []string{"a", "b", "c"} {
		w.subscribe(name, func() {})
	}
	w.next(batch)
	w.confirm("a")
	w.reset()
	first, _, _ := w.next(2)
	second, _, _ := w.next(2)
	require.Len(t, first, 2)
	require.Len(t, second, 1)
	require.ElementsMatch(t, []string{"a", "b", "c"}, append(first, second...))
	w.confirm("a")()
	require.Equal(t, []string{"a"}, resumed, "confirmed before: what was published meanwhile is missing")
}

func TestSubscriptionsReportALostOne(t *testing.T) {
	w := newSubscriptions(func(string) {})
	w.subscribe("a", func() {})
	w.next(batch)
	w.confirm("a")
	require.False(t, w.unsubscribed("a"), "nobody asked for this")
	w.unsubscribe("a")
	require.True(t, w.unsubscribed("a"))
}

func TestNamesReturnToTheirChannel(t *testing.T) {
	for _, n := range []names{{prefix: "wsfleet:"}, {prefix: "wsfleet:{ns/name}:", sharded: true}} {
		for _, channel := range []string{"lobby", "a}b{c", "p:x", "ü"} {
			key, part := n.channel(channel)
			require.Less(t, part, n.parts())
			back, ok := n.channelOf(key)
			require.True(t, ok)
			require.Equal(t, channel, back)
		}
		_, ok := n.channelOf(n.probe(0, "x"))
		require.False(t, ok, "a probe is no channel")
	}
}
