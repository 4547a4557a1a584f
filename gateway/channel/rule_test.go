package channel_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/channel"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		matches       bool
	}{
		{"lobby", "lobby", true},
		{"lobby", "lobby2", false},
		{"lobby", "lobb", false},
		{"Lobby", "lobby", false},
		{"*", "anything:at/all", true},
		{"**", "x", true},
		{"prices:*", "prices:eur", true},
		{"prices:*", "prices:", true},
		{"prices:*", "prices", false},
		{"*:private", "a:private", true},
		{"*:private", "a:private:b", false},
		{"a*c*e", "abcde", true},
		{"a*c*e", "ace", true},
		{"a*c*e", "aec", false},
		{"*ab", "aab", true},
		{"*aab*", "aaab", true},
		{"a.c", "abc", false},
		{"[ab]", "a", false},
		{"?", "a", false},
		{"grüße:*", "grüße:köln", true},
		{"*ü", "ü", true},
	} {
		rules := channel.Rules{{Pattern: c.pattern, SlowConsumer: channel.LatestOnly}}
		require.Equal(t, c.matches, rules.For(c.name).SlowConsumer == channel.LatestOnly, "%s on %s", c.pattern, c.name)
	}
}

func TestTheFirstRuleThatMatchesWins(t *testing.T) {
	rules := channel.Rules{
		{Pattern: "prices:gold", SlowConsumer: channel.Disconnect},
		{Pattern: "prices:*", SlowConsumer: channel.LatestOnly},
		{Pattern: "chat"},
		{Pattern: "*", SlowConsumer: channel.DropOldest},
	}
	for name, want := range map[string]channel.Rule{
		"prices:gold":   rules[0],
		"prices:silver": rules[1],
		"chat":          {Pattern: "chat", SlowConsumer: channel.Disconnect},
		"news":          rules[3],
	} {
		require.Equal(t, want, rules.For(name), name)
	}
	require.Equal(t, channel.Rule{SlowConsumer: channel.Disconnect}, rules[:3].For("news"))
	require.Equal(t, channel.Rule{SlowConsumer: channel.Disconnect}, channel.Rules(nil).For("news"))
}

func TestCheck(t *testing.T) {
	many := make(channel.Rules, 65)
	for i := range many {
		many[i].Pattern = fmt.Sprint("p", i)
	}
	for name, c := range map[string]struct {
		rules channel.Rules
		says  []string
	}{
		"none":             {nil, nil},
		"policy left out":  {channel.Rules{{Pattern: "a"}}, nil},
		"64 rules":         {many[:64], nil},
		"255 characters":   {channel.Rules{{Pattern: strings.Repeat("ü", 255)}}, nil},
		"65 rules":         {many, []string{"65 rules", "64"}},
		"no pattern":       {channel.Rules{{Pattern: "a"}, {}}, []string{"rule 2", "no pattern"}},
		"256 characters":   {channel.Rules{{Pattern: strings.Repeat("a", 256)}}, []string{"rule 1", "255"}},
		"pattern twice":    {channel.Rules{{Pattern: "a"}, {Pattern: "b"}, {Pattern: "a"}}, []string{"rule 3", `"a"`, "rule 1"}},
		"unknown policy":   {channel.Rules{{Pattern: "a", SlowConsumer: "Wait"}}, []string{"rule 1", `"Wait"`}},
		"policy in lower":  {channel.Rules{{Pattern: "a", SlowConsumer: "latestOnly"}}, []string{`"latestOnly"`}},
		"several problems": {channel.Rules{{}, {Pattern: "a", SlowConsumer: "x"}}, []string{"rule 1", "rule 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.rules.Check()
			if c.says == nil {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			for _, part := range c.says {
				require.Contains(t, err.Error(), part)
			}
		})
	}
}

// FuzzPatterns holds the matching against that of a regular expression.
func FuzzPatterns(f *testing.F) {
	f.Add("a*c*e", "abcde")
	f.Add("*aab*", "aaab")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if pattern == "" || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(name)
		rules := channel.Rules{{Pattern: pattern, SlowConsumer: channel.LatestOnly}}
		require.Equal(t, want, rules.For(name).SlowConsumer == channel.LatestOnly)
	})
}
