package channel_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestMatchesPatterns(t *testing.T) {
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

func TestRulesForReturnsTheFirstMatch(t *testing.T) {
	rules := channel.Rules{
		{
			Pattern:      "prices:gold",
			SlowConsumer: channel.Disconnect,
			RecoveryMode: channel.RecoveryCache,
			ReadPresence: channel.ReadAnybody,
			ReadHistory:  channel.ReadSubscribers,
			Publish:      channel.PublishNobody,
			Subscribe:    channel.SubscribeToken,
		},
		{
			Pattern:      "prices:*",
			SlowConsumer: channel.LatestOnly,
			RecoveryMode: channel.RecoveryStream,
			ReadPresence: channel.ReadSubscribers,
			ReadHistory:  channel.ReadAnybody,
			Publish:      channel.PublishAnybody,
			Subscribe:    channel.SubscribeAuthenticated,
		},
		{Pattern: "chat", Presence: true},
		{Pattern: "*", SlowConsumer: channel.DropOldest},
	}
	for name, want := range map[string]channel.Rule{
		"prices:gold":   rules[0],
		"prices:silver": rules[1],
		"chat": {
			Pattern:      "chat",
			Presence:     true,
			SlowConsumer: channel.Disconnect,
			RecoveryMode: channel.RecoveryStream,
			ReadPresence: channel.ReadSubscribers,
			ReadHistory:  channel.ReadSubscribers,
			Publish:      channel.PublishSubscribers,
			Subscribe:    channel.SubscribeAnybody,
		},
		"news": {
			Pattern:      "*",
			SlowConsumer: channel.DropOldest,
			RecoveryMode: channel.RecoveryStream,
			ReadPresence: channel.ReadSubscribers,
			ReadHistory:  channel.ReadSubscribers,
			Publish:      channel.PublishSubscribers,
			Subscribe:    channel.SubscribeAnybody,
		},
	} {
		require.Equal(t, want, rules.For(name), name)
	}
	for name, want := range map[string]channel.Subscribe{
		"$secret":  channel.SubscribeToken,
		"$":        channel.SubscribeToken,
		"a$secret": channel.SubscribeAnybody,
	} {
		require.Equal(t, want, rules.For(name).Subscribe, name)
		require.Equal(t, want, channel.Rules(nil).For(name).Subscribe, name)
		require.Equal(t, channel.DropOldest, rules.For(name).SlowConsumer, "the rule applies but for that")
	}
	open := channel.Rules{{Pattern: "$open:*"}, {Pattern: "*", Subscribe: channel.SubscribeAnybody}}
	require.Equal(t, channel.SubscribeAnybody, open.For("$open:a").Subscribe)
	require.Equal(t, channel.SubscribeToken, open.For("$other:a").Subscribe)
	none := channel.Rule{
		RecoveryMode: channel.RecoveryStream,
		SlowConsumer: channel.Disconnect,
		ReadPresence: channel.ReadSubscribers,
		ReadHistory:  channel.ReadSubscribers,
		Publish:      channel.PublishSubscribers,
		Subscribe:    channel.SubscribeAnybody,
	}
	require.Equal(t, none, rules[:3].For("news"))
	require.Equal(t, none, channel.Rules(nil).For("news"))
}

// Channels whose names begin with $ are open to readers only by a rule whose pattern begins with $.
func TestRulesForKeepsPrivateChannelsFromReaders(t *testing.T) {
	open := func(pattern string) channel.Rule {
		return channel.Rule{
			Pattern:      pattern,
			History:      kept(5, time.Hour),
			Presence:     true,
			ReadPresence: channel.ReadAnybody,
			ReadHistory:  channel.ReadAnybody,
		}
	}
	rules := channel.Rules{open("$open:*"), {Pattern: "$half:*", ReadHistory: channel.ReadAnybody}, open("*")}
	for name, want := range map[string][2]channel.Read{
		"a":          {channel.ReadAnybody, channel.ReadAnybody},
		"a$":         {channel.ReadAnybody, channel.ReadAnybody},
		"open:$":     {channel.ReadAnybody, channel.ReadAnybody},
		"$":          {channel.ReadSubscribers, channel.ReadSubscribers},
		"$secret":    {channel.ReadSubscribers, channel.ReadSubscribers},
		"$open:room": {channel.ReadAnybody, channel.ReadAnybody},
		"$half:room": {channel.ReadSubscribers, channel.ReadAnybody},
	} {
		r := rules.For(name)
		require.Equal(t, want, [2]channel.Read{r.ReadPresence, r.ReadHistory}, name)
	}
	r := channel.Rules(nil).For("$secret")
	require.Equal(t, [2]channel.Read{channel.ReadSubscribers, channel.ReadSubscribers},
		[2]channel.Read{r.ReadPresence, r.ReadHistory})
}

func TestRulesCheck(t *testing.T) {
	many := make(channel.Rules, 65)
	for i := range many {
		many[i].Pattern = fmt.Sprint("p", i)
	}
	for name, c := range map[string]struct {
		rules channel.Rules
		want  []string
	}{
		"none":            {nil, nil},
		"policy left out": {channel.Rules{{Pattern: "a"}}, nil},
		"64 rules":        {many[:64], nil},
		"255 characters":  {channel.Rules{{Pattern: strings.Repeat("ü", 255)}}, nil},
		"65 rules":        {many, []string{"65 rules", "64"}},
		"no pattern":      {channel.Rules{{Pattern: "a"}, {}}, []string{"rule 2", "no pattern"}},
		"256 characters":  {channel.Rules{{Pattern: strings.Repeat("a", 256)}}, []string{"rule 1", "255"}},
		"pattern twice": {channel.Rules{{Pattern: "a"}, {Pattern: "b"}, {Pattern: "a"}},
			[]string{"rule 3", `"a"`, "rule 1"}},
		"unknown policy":  {channel.Rules{{Pattern: "a", SlowConsumer: "Wait"}}, []string{"rule 1", `"Wait"`}},
		"policy in lower": {channel.Rules{{Pattern: "a", SlowConsumer: "latestOnly"}}, []string{`"latestOnly"`}},
		"everything": {channel.Rules{{
			Pattern: "a", History: kept(100_000, 720*time.Hour), Recovery: true, RecoveryMode: channel.RecoveryCache,
			Presence: true, JoinLeave: true,
			ForceJoinLeave: true, TagsFilter: true, ReadPresence: channel.ReadAnybody, ReadHistory: channel.ReadAnybody,
			Publish: channel.PublishAnybody, Subscribe: channel.SubscribeToken,
			SlowConsumer: channel.Disconnect,
		}}, nil},
		"least history": {
			channel.Rules{{Pattern: "a", History: kept(1, time.Second), SlowConsumer: channel.LatestOnly}}, nil},
		"history above bound": {channel.Rules{{Pattern: "a", History: kept(100_001, time.Hour)}},
			[]string{"rule 1", "history.size of 100001", "from 1 to 100000"}},
		"history below 0": {channel.Rules{{Pattern: "a", History: kept(-1, time.Hour)}},
			[]string{"rule 1", "history.size of -1"}},
		"history without a size": {channel.Rules{{Pattern: "a", History: kept(0, time.Hour)}},
			[]string{"rule 1", "history.ttl without a history.size"}},
		"history without a ttl": {channel.Rules{{Pattern: "a"}, {Pattern: "b", History: kept(5, 0)}},
			[]string{"rule 2", "history.ttl of 0s", "from 1s to 720h0m0s"}},
		"history of an instant": {channel.Rules{{Pattern: "a", History: kept(5, 999*time.Millisecond)}},
			[]string{"history.ttl of 999ms"}},
		"history of months": {channel.Rules{{Pattern: "a", History: kept(5, 721*time.Hour)}},
			[]string{"history.ttl of 721h0m0s"}},
		"nothing to recover": {channel.Rules{{Pattern: "a", Recovery: true}},
			[]string{"rule 1", "recovery without history"}},
		"recovery with gaps": {
			channel.Rules{{Pattern: "a", History: kept(5, time.Hour), Recovery: true, SlowConsumer: channel.DropOldest}},
			[]string{"rule 1", "recovery", "DropOldest"}},
		"recovery of the latest": {
			channel.Rules{{Pattern: "a", History: kept(5, time.Hour), Recovery: true, SlowConsumer: channel.LatestOnly}},
			[]string{"rule 1", "recovery", "LatestOnly"}},
		"recovery of the stream": {channel.Rules{{
			Pattern: "a", History: kept(5, time.Hour), Recovery: true, RecoveryMode: channel.RecoveryStream,
		}}, nil},
		"no recovery of the stream": {channel.Rules{{Pattern: "a", RecoveryMode: channel.RecoveryStream}}, nil},
		"cache without recovery": {
			channel.Rules{{Pattern: "a", History: kept(5, time.Hour), RecoveryMode: channel.RecoveryCache}},
			[]string{"rule 1", "recoveryMode Cache without recovery"}},
		"unknown recoveryMode": {
			channel.Rules{{Pattern: "a", History: kept(5, time.Hour), Recovery: true, RecoveryMode: "cache"}},
			[]string{"rule 1", `recoveryMode "cache"`}},
		"joins without presence": {channel.Rules{{Pattern: "a", JoinLeave: true}},
			[]string{"rule 1", "joinLeave without presence"}},
		"joins for all without joins": {channel.Rules{{Pattern: "a", Presence: true, ForceJoinLeave: true}},
			[]string{"rule 1", "forceJoinLeave without joinLeave"}},
		"members for all without presence": {channel.Rules{{Pattern: "a", ReadPresence: channel.ReadAnybody}},
			[]string{"rule 1", "readPresence without presence"}},
		"history for all without history": {
			channel.Rules{{Pattern: "a", Presence: true, ReadHistory: channel.ReadAnybody}},
			[]string{"rule 1", "readHistory without history"}},
		"members for all without history": {
			channel.Rules{{Pattern: "a", Presence: true, ReadPresence: channel.ReadAnybody}}, nil},
		"history for all without presence": {
			channel.Rules{{Pattern: "a", History: kept(5, time.Hour), ReadHistory: channel.ReadAnybody}}, nil},
		"nothing to read for subscribers": {
			channel.Rules{{Pattern: "a", ReadPresence: channel.ReadSubscribers, ReadHistory: channel.ReadSubscribers}}, nil},
		"unknown readPresence": {channel.Rules{{Pattern: "a", Presence: true, ReadPresence: "Nobody"}},
			[]string{"rule 1", `readPresence "Nobody"`}},
		"unknown readHistory": {channel.Rules{{Pattern: "a", ReadHistory: "anybody"}},
			[]string{"rule 1", `readHistory "anybody"`}},
		"unknown publish": {channel.Rules{{Pattern: "a", Publish: "Everybody"}},
			[]string{"rule 1", `publish "Everybody"`}},
		"unknown subscribe": {channel.Rules{{Pattern: "a", Subscribe: "token"}},
			[]string{"rule 1", `subscribe "token"`}},
		"several problems of one": {channel.Rules{{Recovery: true, JoinLeave: true}},
			[]string{"no pattern", "recovery", "joinLeave"}},
		"several problems": {channel.Rules{{}, {Pattern: "a", SlowConsumer: "x"}}, []string{"rule 1", "rule 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.rules.Check()
			if c.want == nil {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			for _, part := range c.want {
				require.Contains(t, err.Error(), part)
			}
		})
	}
}

func kept(size int, ttl time.Duration) channel.History {
	return channel.History{Size: size, TTL: channel.Duration(ttl)}
}

// FuzzPatterns compares Matches with a regular expression.
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
