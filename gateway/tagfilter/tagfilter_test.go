package tagfilter

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func compare(cmp, key, value string) Node { return Node{Compare: cmp, Key: key, Value: value} }

func among(cmp, key string, values ...string) Node {
	return Node{Compare: cmp, Key: key, Values: values}
}

func combine(op string, nodes ...Node) Node { return Node{Op: op, Nodes: nodes} }

func TestFilterMatches(t *testing.T) {
	tags := map[string]string{"city": "Bern", "n": "10", "big": "90071992547409931", "price": "0.3", "empty": ""}
	for _, c := range []struct {
		filter Node
		want   bool
	}{
		{compare("eq", "city", "Bern"), true},
		{compare("eq", "city", "bern"), false},
		{compare("eq", "none", ""), false},
		{compare("eq", "empty", ""), true},
		{compare("neq", "city", "Bern"), false},
		{compare("neq", "city", "Basel"), true},
		{compare("neq", "none", "Bern"), true},
		{among("in", "city", "Basel", "Bern"), true},
		{among("in", "city", "Basel"), false},
		{among("in", "none", "Basel", ""), true},
		{among("in", "none", "Basel"), false},
		{among("nin", "city", "Basel", "Bern"), false},
		{among("nin", "none", "Basel"), true},
		{among("nin", "none", ""), false},
		{compare("ex", "empty", ""), true},
		{compare("ex", "none", ""), false},
		{compare("ex", "", ""), false},
		{compare("nex", "empty", ""), false},
		{compare("nex", "none", ""), true},
		{compare("sw", "city", "Be"), true},
		{compare("sw", "city", "er"), false},
		{compare("sw", "none", ""), false},
		{compare("ew", "city", "rn"), true},
		{compare("ew", "city", "er"), false},
		{compare("ct", "city", "er"), true},
		{compare("ct", "city", "ER"), false},
		{compare("lt", "n", "10.5"), true},
		{compare("lt", "n", "10"), false},
		{compare("lt", "n", "9"), false},
		{compare("lte", "n", "10.0"), true},
		{compare("gt", "n", "9"), true},
		{compare("gt", "n", "10"), false},
		{compare("gt", "n", "-1"), true},
		{compare("gte", "n", "10"), true},
		{compare("gt", "big", "90071992547409930"), true},
		{compare("lte", "price", "0.30"), true},
		{compare("lt", "city", "1"), false},
		{compare("gte", "city", "1"), false},
		{compare("gte", "none", "0"), false},
		{compare("gte", "empty", "0"), false},
		{combine("and", compare("eq", "city", "Bern"), compare("gt", "n", "9")), true},
		{combine("and", compare("eq", "city", "Bern"), compare("gt", "n", "10")), false},
		{combine("and", compare("ex", "n", "")), true},
		{combine("or", compare("eq", "city", "Basel"), compare("gt", "n", "9")), true},
		{combine("or", compare("eq", "city", "Basel"), compare("gt", "n", "10")), false},
		{combine("not", compare("eq", "city", "Bern")), false},
		{combine("not", combine("or", compare("nex", "n", ""), compare("lt", "n", "5"))), true},
	} {
		f, err := New(c.filter)
		require.NoError(t, err, "%+v", c.filter)
		require.Equal(t, c.want, f.Matches(tags), "%+v", c.filter)
	}
	require.True(t, (*Filter)(nil).Matches(nil))
	f, err := New(compare("eq", "a", "b"))
	require.NoError(t, err)
	require.False(t, f.Matches(nil), "a publication without tags")
}

// nested returns a filter of so many levels.
func nested(levels int) Node {
	n := compare("ex", "a", "")
	for range levels - 1 {
		n = combine("not", n)
	}
	return n
}

func TestNewRefusesFilters(t *testing.T) {
	many := func(n int) Node { return combine("or", slices.Repeat([]Node{compare("ex", "a", "")}, n)...) }
	for name, c := range map[string]struct {
		filter Node
		reason string
	}{
		"nothing":                 {Node{}, "no key"},
		"no comparison":           {Node{Key: "a"}, "its cmp is none of"},
		"an unknown one":          {compare("EQ", "a", "b"), "its cmp is none of"},
		"no key":                  {compare("eq", "", "b"), "no key"},
		"in without values":       {compare("in", "a", "b"), "need vals"},
		"no number":               {compare("gt", "a", "b"), "no number"},
		"an empty number":         {compare("gt", "a", ""), "no number"},
		"a number without an end": {compare("gt", "a", "Inf"), "no number"},
		"an unknown op":           {combine("xor", compare("ex", "a", "")), "its op is none of"},
		"and without nodes":       {combine("and"), "one node at least"},
		"not with two":            {combine("not", compare("ex", "a", ""), compare("ex", "b", "")), "one node at least"},
		"both kinds":              {Node{Op: "and", Key: "a", Nodes: []Node{compare("ex", "a", "")}}, "has no comparison"},
		"a comparison with nodes": {Node{Compare: "ex", Key: "a", Nodes: []Node{{}}}, "has no nodes"},
		"an odd node deep inside": {combine("and", combine("not", compare("eq", "", ""))), "no key"},
		"many nodes":              {many(MaxNodes), "more than 32 nodes"},
		"many levels":             {nested(MaxDepth + 1), "more than 8 levels"},
		"many values":             {among("in", "a", make([]string, MaxValues+1)...), "more than 64 values"},
		"a large value":           {compare("eq", "a", strings.Repeat("v", MaxBytes)), "more than 1024 bytes"},
		"large values": {among("in", "a", strings.Repeat("v", MaxBytes/2), strings.Repeat("v", MaxBytes/2)),
			"more than 1024"},
		"a number that is too long": {compare("lt", "a", strings.Repeat("1", 300)), "no number"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := New(c.filter)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, c.reason)
			require.Nil(t, f)
		})
	}
	for _, filter := range []Node{
		many(MaxNodes - 1), nested(MaxDepth), among("in", "a", make([]string, MaxValues)...),
		compare("eq", "a", strings.Repeat("v", MaxBytes-1)),
	} {
		_, err := New(filter)
		require.NoError(t, err)
	}
}

func TestFilterKey(t *testing.T) {
	made := func(n Node) *Filter {
		f, err := New(n)
		require.NoError(t, err)
		return f
	}
	a := made(combine("and", compare("eq", "a", "b"), among("in", "c", "d", "e")))
	require.Equal(t, a.Key(), made(combine("and", compare("eq", "a", "b"), among("in", "c", "d", "e"))).Key())
	for _, other := range []Node{
		combine("or", compare("eq", "a", "b"), among("in", "c", "d", "e")),
		combine("and", among("in", "c", "d", "e"), compare("eq", "a", "b")),
		combine("and", compare("eq", "a", "b"), among("in", "c", "d e")),
		combine("and", compare("eq", "a b", ""), among("in", "c", "d", "e")),
		combine("and", combine("and", compare("eq", "a", "b")), among("in", "c", "d", "e")),
	} {
		require.NotEqual(t, a.Key(), made(other).Key(), "%+v", other)
	}
}

// Whatever a client sends is refused or can be evaluated, and filters with equal keys decide alike.
func FuzzNew(f *testing.F) {
	f.Add("and", "eq", "a", "b", "c", "a", "1")
	f.Add("not", "gt", "n", "1e5", "", "n", "-0")
	f.Add("", "in", "", "", "\x00", "", "")
	f.Fuzz(func(t *testing.T, op, cmp, key, value, other, tag, tagValue string) {
		leaf := Node{Compare: cmp, Key: key, Value: value, Values: []string{other, value}}
		root := leaf
		if op != "" {
			root = combine(op, leaf, combine("not", leaf))
		}
		made, err := New(root)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		again, err := New(root)
		require.NoError(t, err)
		require.Equal(t, made.Key(), again.Key())
		tags := map[string]string{tag: tagValue}
		require.Equal(t, made.Matches(tags), again.Matches(tags))
		if op == "and" {
			require.False(t, made.Matches(tags), "something and its contrary")
		}
	})
}

func BenchmarkMatches(b *testing.B) {
	f, err := New(combine("and",
		compare("eq", "city", "Bern"), compare("gt", "n", "9.5"), among("in", "kind", "a", "b", "c")))
	require.NoError(b, err)
	tags := map[string]string{"city": "Bern", "n": "10", "kind": "c"}
	b.ReportAllocs()
	for b.Loop() {
		f.Matches(tags)
	}
}
