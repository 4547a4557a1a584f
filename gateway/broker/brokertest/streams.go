package brokertest

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/channel"
)

var streams = map[string]func(*testing.T, *Node, *Node){
	"Publish gives consecutive offsets":           positions,
	"Publish without history gives no position":   withoutHistory,
	"History returns all fields of a publication": allFields,
	"a stream keeps the size of its history":      trimmed,
	"History reads from any position":             queries,
	"History ends at the maximum number of bytes": maxBytes,
	"History counts all fields of a publication":  sizeOfAllFields,
	"History of a new stream returns an epoch":    emptyStream,
	"a position outlives its publications":        expiredPublications,
	"History returns nothing of another epoch":    foreignEpoch,
	"RemoveHistory keeps the position":            removed,
	"EndEpoch begins another stream":              ended,
	"Deliver has the same order at every node":    sameOrder,
}

// kept is a history that nothing falls out of during a test.
var kept = channel.History{Size: 1000, TTL: channel.Duration(time.Minute)}

func publish(t testing.TB, n *Node, name, data string, h channel.History) broker.Position {
	t.Helper()
	result, err := n.Publish(t.Context(), name, broker.Publication{Data: []byte(data)}, broker.PublishOptions{History: h})
	require.NoError(t, err)
	require.False(t, result.Repeated)
	return result.Position
}

func history(t testing.TB, n *Node, name string, q broker.HistoryQuery) broker.Stream {
	t.Helper()
	s, err := n.History(t.Context(), name, q)
	require.NoError(t, err)
	return s
}

// all is every publication of a stream.
var all = broker.HistoryQuery{Limit: -1}

func offsets(publications []broker.Publication) (out []int) {
	for _, p := range publications {
		out = append(out, int(p.Offset))
	}
	return out
}

func positions(t *testing.T, a, b *Node) {
	b.Listen(t, "positions")
	var epoch string
	for i := range 5 {
		data := fmt.Sprint(i)
		p := publish(t, a, "positions", data, kept)
		require.EqualValues(t, i+1, p.Offset)
		require.NotEmpty(t, p.Epoch)
		if i > 0 {
			require.Equal(t, epoch, p.Epoch)
		}
		epoch = p.Epoch
		require.Equal(t, Delivery{"positions", broker.Publication{Data: []byte(data), Position: p}}, b.Next(t))
	}
	require.EqualValues(t, 1, publish(t, a, "positions too", "", kept).Offset, "each channel has its own")
	forget(a)
}

// forget drops what a node that delivers everything has delivered.
func forget(n *Node) {
	for len(n.Got) > 0 {
		<-n.Got
	}
}

func withoutHistory(t *testing.T, a, b *Node) {
	b.Listen(t, "plain")
	publish(t, a, "plain", "kept", kept)
	require.Zero(t, publish(t, a, "plain", "not kept", channel.History{}))
	require.EqualValues(t, 1, b.Next(t).Offset)
	require.Zero(t, b.Next(t).Position)
	require.Equal(t, []int{1}, offsets(history(t, b, "plain", all).Publications))
	require.EqualValues(t, 2, publish(t, a, "plain", "", kept).Offset)
	require.EqualValues(t, 2, b.Next(t).Offset)
}

func allFields(t *testing.T, a, b *Node) {
	b.Listen(t, "whole")
	info := &broker.ClientInfo{Client: "c", User: "ü", ConnInfo: []byte(`{"n":1}`), ChanInfo: []byte(`2`)}
	for _, p := range []broker.Publication{
		{Data: []byte{0, 255, '\n'}, Binary: true},
		{Data: []byte("text"), Info: info, Tags: map[string]string{"a": "b", "": ""}},
		{Data: []byte{}},
	} {
		data := append([]byte{}, p.Data...)
		sent := p
		sent.Data = data
		result, err := a.Publish(t.Context(), "whole", sent, broker.PublishOptions{History: kept})
		require.NoError(t, err)
		p.Position = result.Position
		require.Equal(t, Delivery{"whole", p}, b.Next(t))
		// The publisher reuses its memory.
		clear(data)
		last := history(t, b, "whole", broker.HistoryQuery{Limit: 1, Reverse: true}).Publications
		require.Equal(t, []broker.Publication{p}, last)
	}
	for _, kind := range []broker.Kind{broker.KindJoin, broker.KindLeave} {
		_, err := a.Publish(t.Context(), "whole", broker.Publication{Kind: kind, Info: info}, broker.PublishOptions{})
		require.NoError(t, err)
		got := b.Next(t)
		require.Equal(t, kind, got.Kind)
		require.Equal(t, info, got.Info)
	}
}

func trimmed(t *testing.T, a, b *Node) {
	three := channel.History{Size: 3, TTL: kept.TTL}
	for range 5 {
		publish(t, a, "trimmed", "x", three)
	}
	require.Equal(t, []int{3, 4, 5}, offsets(history(t, b, "trimmed", all).Publications))
	publish(t, b, "trimmed", "x", channel.History{Size: 1, TTL: kept.TTL})
	require.Equal(t, []int{6}, offsets(history(t, a, "trimmed", all).Publications))
	forget(a)
}

func queries(t *testing.T, a, b *Node) {
	five := channel.History{Size: 5, TTL: kept.TTL}
	var top broker.Position
	for range 8 {
		top = publish(t, a, "queries", "x", five)
	}
	at := func(offset uint64) *broker.Position { return &broker.Position{Offset: offset, Epoch: top.Epoch} }
	anyEpoch := func(offset uint64) *broker.Position { return &broker.Position{Offset: offset} }
	for name, c := range map[string]struct {
		query broker.HistoryQuery
		want  []int
	}{
		"since, any epoch":             {broker.HistoryQuery{Limit: -1, Since: anyEpoch(6)}, []int{7, 8}},
		"since the start, any epoch":   {broker.HistoryQuery{Limit: -1, Since: anyEpoch(0)}, []int{4, 5, 6, 7, 8}},
		"since the future, any epoch":  {broker.HistoryQuery{Limit: -1, Since: anyEpoch(9)}, nil},
		"before, any epoch":            {broker.HistoryQuery{Limit: 1, Since: anyEpoch(6), Reverse: true}, []int{5}},
		"before the start, any epoch":  {broker.HistoryQuery{Limit: -1, Since: anyEpoch(0), Reverse: true}, nil},
		"position only":                {broker.HistoryQuery{}, nil},
		"position only, since":         {broker.HistoryQuery{Since: at(5)}, nil},
		"all":                          {broker.HistoryQuery{Limit: -1}, []int{4, 5, 6, 7, 8}},
		"first":                        {broker.HistoryQuery{Limit: 2}, []int{4, 5}},
		"more than there are":          {broker.HistoryQuery{Limit: 100}, []int{4, 5, 6, 7, 8}},
		"last":                         {broker.HistoryQuery{Limit: 2, Reverse: true}, []int{8, 7}},
		"all in reverse":               {broker.HistoryQuery{Limit: -1, Reverse: true}, []int{8, 7, 6, 5, 4}},
		"since":                        {broker.HistoryQuery{Limit: -1, Since: at(6)}, []int{7, 8}},
		"since, limited":               {broker.HistoryQuery{Limit: 1, Since: at(6)}, []int{7}},
		"since one that fell out":      {broker.HistoryQuery{Limit: -1, Since: at(1)}, []int{4, 5, 6, 7, 8}},
		"since the beginning":          {broker.HistoryQuery{Limit: -1, Since: at(0)}, []int{4, 5, 6, 7, 8}},
		"since the top":                {broker.HistoryQuery{Limit: -1, Since: at(8)}, nil},
		"since the future":             {broker.HistoryQuery{Limit: -1, Since: at(1 << 63)}, nil},
		"since the end of all":         {broker.HistoryQuery{Limit: -1, Since: at(1<<64 - 1)}, nil},
		"before":                       {broker.HistoryQuery{Limit: -1, Since: at(6), Reverse: true}, []int{5, 4}},
		"before, limited":              {broker.HistoryQuery{Limit: 1, Since: at(6), Reverse: true}, []int{5}},
		"before the first":             {broker.HistoryQuery{Limit: -1, Since: at(4), Reverse: true}, nil},
		"before the beginning":         {broker.HistoryQuery{Limit: -1, Since: at(0), Reverse: true}, nil},
		"before the end of all":        {broker.HistoryQuery{Limit: 1, Since: at(1<<64 - 1), Reverse: true}, []int{8}},
		"position only, before":        {broker.HistoryQuery{Since: at(6), Reverse: true}, nil},
		"before the beginning, no one": {broker.HistoryQuery{Since: at(0), Reverse: true}, nil},
	} {
		got := history(t, b, "queries", c.query)
		require.Equal(t, c.want, offsets(got.Publications), name)
		require.Equal(t, top, got.Top, name)
		for _, p := range got.Publications {
			require.Equal(t, top.Epoch, p.Epoch, name)
		}
	}
	forget(a)
}

func maxBytes(t *testing.T, a, b *Node) {
	const name, small = "parts", 200
	var top broker.Position
	for range small {
		top = publish(t, a, name, "x", kept)
	}
	// The last ones are large, but for the very last.
	for _, size := range []int{1_000, 1_000, 5_000, 1_000, 1} {
		top = publish(t, a, name, strings.Repeat("x", size), kept)
	}
	each, large := broker.Size(broker.Publication{
		Data: []byte("x"),
	}), broker.Size(broker.Publication{Data: make([]byte, 1_000)})
	at := func(offset uint64) *broker.Position { return &broker.Position{Offset: offset, Epoch: top.Epoch} }
	for what, c := range map[string]struct {
		query    broker.HistoryQuery
		from, to int
	}{
		"no bound":                   {broker.HistoryQuery{Limit: -1}, 1, small + 5},
		"a bound that nothing meets": {broker.HistoryQuery{Limit: -1, MaxBytes: 1 << 30}, 1, small + 5},
		"as many as fit":             {broker.HistoryQuery{Limit: -1, MaxBytes: 10 * each}, 1, 10},
		"almost one more":            {broker.HistoryQuery{Limit: -1, MaxBytes: 11*each - 1}, 1, 10},
		"one that does not fit":      {broker.HistoryQuery{Limit: -1, MaxBytes: 1}, 1, 1},
		"many":                       {broker.HistoryQuery{Limit: -1, MaxBytes: 150 * each}, 1, 150},
		"fewer than fit":             {broker.HistoryQuery{Limit: 70, MaxBytes: 150 * each}, 1, 70},
		"as many as are wanted":      {broker.HistoryQuery{Limit: 150, MaxBytes: 150 * each}, 1, 150},
		"more than fit":              {broker.HistoryQuery{Limit: 151, MaxBytes: 150 * each}, 1, 150},
		"up to a large one":          {broker.HistoryQuery{Limit: -1, MaxBytes: small*each + large - 1}, 1, small},
		"two large ones": {broker.HistoryQuery{Limit: -1, Since: at(small), MaxBytes: 2 * large}, small + 1,
			small + 2},
		"one that does not fit, since": {broker.HistoryQuery{Limit: -1, Since: at(small + 2), MaxBytes: 3_000}, small + 3,
			small + 3},
		"up to the end": {broker.HistoryQuery{Limit: -1, Since: at(small + 3), MaxBytes: large + each},
			small + 4, small + 5},
		"the latest": {broker.HistoryQuery{Limit: -1, MaxBytes: large + each, Reverse: true}, small + 5,
			small + 4},
		"the latest but one, in part": {
			broker.HistoryQuery{Limit: -1, Since: at(small + 5), MaxBytes: 5_000, Reverse: true}, small + 4, small + 4},
		"one that does not fit, before": {
			broker.HistoryQuery{Limit: -1, Since: at(small + 4), MaxBytes: 3_000, Reverse: true}, small + 3, small + 3},
		"many before": {broker.HistoryQuery{Limit: -1, Since: at(small + 1), MaxBytes: 150 * each, Reverse: true},
			small, small - 149},
		"down to the beginning": {broker.HistoryQuery{Limit: -1, Since: at(100), MaxBytes: 1_000 * each, Reverse: true}, 99,
			1},
		"the first, in reverse": {broker.HistoryQuery{Limit: -1, Since: at(2), MaxBytes: 1, Reverse: true}, 1, 1},
	} {
		got := history(t, b, name, c.query)
		want := []int{c.from}
		for last := c.from; last != c.to; {
			last += cmp.Compare(c.to, c.from)
			want = append(want, last)
		}
		require.Equal(t, want, offsets(got.Publications), what)
		require.Equal(t, top, got.Top, what)
	}
	for what, q := range map[string]broker.HistoryQuery{
		"position only":    {MaxBytes: 100},
		"since the top":    {Limit: -1, Since: at(top.Offset), MaxBytes: 100},
		"before the first": {Limit: -1, Since: at(1), MaxBytes: 100, Reverse: true},
		"another epoch":    {Limit: -1, Since: &broker.Position{Offset: 1, Epoch: "elsewhere"}, MaxBytes: 100},
	} {
		require.Equal(t, top, history(t, b, name, q).Top, what)
		require.Empty(t, history(t, b, name, q).Publications, what)
	}
	require.Empty(t, history(t, b, "parts of nothing", broker.HistoryQuery{Limit: -1, MaxBytes: 1}).Publications)
	forget(a)
}

func sizeOfAllFields(t *testing.T, a, b *Node) {
	p := broker.Publication{
		Data: make([]byte, 100), Tags: map[string]string{"tag": strings.Repeat("t", 200)},
		Info: &broker.ClientInfo{Client: "c", User: "u", ConnInfo: make([]byte, 300), ChanInfo: make([]byte, 400)},
	}
	for range 3 {
		_, err := a.Publish(t.Context(), "whole sizes", p, broker.PublishOptions{History: kept})
		require.NoError(t, err)
	}
	for bytes, want := range map[int][]int{3 * broker.Size(p): {1, 2, 3}, 3*broker.Size(p) - 1: {1, 2}} {
		require.Equal(t, want,
			offsets(history(t, b, "whole sizes", broker.HistoryQuery{Limit: -1, MaxBytes: bytes}).Publications))
	}
	forget(a)
}

func emptyStream(t *testing.T, a, b *Node) {
	s := history(t, a, "empty", all)
	require.Empty(t, s.Publications)
	require.Zero(t, s.Top.Offset)
	require.NotEmpty(t, s.Top.Epoch)
	require.Equal(t, s.Top, history(t, b, "empty", all).Top)
	require.Equal(t, broker.Position{Offset: 1, Epoch: s.Top.Epoch}, publish(t, b, "empty", "x", kept))
	forget(b)
}

func expiredPublications(t *testing.T, a, b *Node) {
	short := channel.History{Size: 10, TTL: channel.Duration(100 * time.Millisecond)}
	top := publish(t, a, "expired", "x", short)
	eventually(t, "the publications to expire",
		func() bool { return len(history(t, b, "expired", all).Publications) == 0 })
	require.Equal(t, broker.Stream{Top: top}, history(t, b, "expired", broker.HistoryQuery{Limit: -1, Since: &top}))
	next := publish(t, b, "expired", "y", kept)
	require.Equal(t, broker.Position{Offset: 2, Epoch: top.Epoch}, next)
	require.Equal(t, []int{2}, offsets(history(t, a, "expired", all).Publications))
	forget(a)
}

func foreignEpoch(t *testing.T, a, b *Node) {
	top := publish(t, a, "foreign", "x", kept)
	for _, reverse := range []bool{false, true} {
		q := broker.HistoryQuery{Limit: -1, Since: &broker.Position{Offset: 2, Epoch: "elsewhere"}, Reverse: reverse}
		require.Equal(t, broker.Stream{Top: top}, history(t, b, "foreign", q))
	}
	forget(a)
}

func removed(t *testing.T, a, b *Node) {
	publish(t, a, "removed", "x", kept)
	top := publish(t, a, "removed", "y", kept)
	require.NoError(t, b.RemoveHistory(t.Context(), "removed"))
	require.Equal(t, broker.Stream{Top: top}, history(t, a, "removed", broker.HistoryQuery{Limit: -1}))
	next := publish(t, a, "removed", "z", kept)
	require.Equal(t, broker.Position{Offset: 3, Epoch: top.Epoch}, next)
	require.Equal(t, []int{3}, offsets(history(t, b, "removed", broker.HistoryQuery{Limit: -1, Since: &top}).Publications))
	require.NoError(t, b.RemoveHistory(t.Context(), "never there"))
	forget(a)
}

func ended(t *testing.T, a, b *Node) {
	old := publish(t, a, "ended", "x", kept)
	require.NoError(t, b.EndEpoch(t.Context(), "ended"))
	s := history(t, a, "ended", broker.HistoryQuery{Limit: -1, Since: &old})
	require.Empty(t, s.Publications)
	require.Zero(t, s.Top.Offset)
	require.NotEqual(t, old.Epoch, s.Top.Epoch)
	require.Equal(t, broker.Position{Offset: 1, Epoch: s.Top.Epoch}, publish(t, a, "ended", "y", kept))
	require.NoError(t, b.EndEpoch(t.Context(), "never there"))
	forget(a)
}

func sameOrder(t *testing.T, a, b *Node) {
	const each = 200
	a.Listen(t, "order")
	b.Listen(t, "order")
	nodes := []*Node{a, b}
	var wg sync.WaitGroup
	for _, n := range nodes {
		for i := range 4 {
			wg.Go(func() {
				for k := range each / 4 {
					p := broker.Publication{Data: fmt.Appendf(nil, "%p %d %d", n, i, k)}
					if _, err := n.Publish(t.Context(), "order", p, broker.PublishOptions{History: kept}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	stream := history(t, a, "order", all).Publications
	require.Len(t, stream, 2*each)
	for i, p := range stream {
		require.EqualValues(t, i+1, p.Offset)
	}
	for _, p := range stream {
		require.Equal(t, p, a.Next(t).Publication)
		if a != b {
			require.Equal(t, p, b.Next(t).Publication)
		}
	}
}
