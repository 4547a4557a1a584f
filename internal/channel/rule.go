// Package channel holds the rules of channels: what clients may do in a channel, and what the gateway keeps of it. The
// operator writes rules into the configuration file, the gateway reads and follows them.
package channel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// SlowConsumer is what happens to the messages of a channel for a client that reads too slowly.
type SlowConsumer string

// The values of SlowConsumer.
const (
	// Disconnect closes the client's connection when its queue is full.
	Disconnect SlowConsumer = "Disconnect"
	// DropOldest drops the oldest messages in the client's queue when the queue is full.
	DropOldest SlowConsumer = "DropOldest"
	// LatestOnly keeps only the latest message of the channel while the client's socket is full.
	LatestOnly SlowConsumer = "LatestOnly"
)

// Bounds of a list of rules.
const (
	// MaxRules is the maximum number of rules.
	MaxRules = 64
	// MaxPatternChars is the maximum length of a pattern in characters (Unicode code points).
	MaxPatternChars = 255
	// MaxHistorySize is the maximum of History.Size, in publications.
	MaxHistorySize = 100_000
	// MinHistoryTTL and MaxHistoryTTL are the bounds of History.TTL.
	MinHistoryTTL = Duration(time.Second)
	MaxHistoryTTL = Duration(30 * 24 * time.Hour)
)

// Rule applies to the channels whose names match its pattern.
type Rule struct {
	// Pattern is a name in which each * stands for any number of characters, also for none.
	Pattern string `json:"pattern"`
	// History is how many publications are kept. The zero value keeps none.
	History History `json:"history,omitzero"`
	// Recovery sends subscribers that come back what they missed, as RecoveryMode says. It needs History.
	Recovery bool `json:"recovery,omitempty"`
	// RecoveryMode is RecoveryStream when it is empty. RecoveryCache needs Recovery.
	RecoveryMode RecoveryMode `json:"recoveryMode,omitempty"`
	// Presence keeps the list of members.
	Presence bool `json:"presence,omitempty"`
	// ReadPresence is ReadSubscribers when it is empty. ReadAnybody needs Presence.
	ReadPresence Read `json:"readPresence,omitempty"`
	// ReadHistory is ReadSubscribers when it is empty. ReadAnybody needs History.
	ReadHistory Read `json:"readHistory,omitempty"`
	// JoinLeave tells subscribers when a member joins or leaves. It needs Presence.
	JoinLeave bool `json:"joinLeave,omitempty"`
	// ForceJoinLeave tells also those subscribers that have not asked for it. It needs JoinLeave.
	ForceJoinLeave bool `json:"forceJoinLeave,omitempty"`
	// TagsFilter lets subscribers ask for the publications with certain tags alone.
	TagsFilter bool `json:"tagsFilter,omitempty"`
	// Publish is PublishSubscribers when it is empty.
	Publish Publish `json:"publish,omitempty"`
	// Subscribe is SubscribeAnybody when it is empty.
	Subscribe Subscribe `json:"subscribe,omitempty"`
	// SlowConsumer is Disconnect when it is empty.
	SlowConsumer SlowConsumer `json:"slowConsumer,omitempty"`
}

// History is how many publications of a channel are kept, and for how long.
type History struct {
	// Size is a number of publications.
	Size int `json:"size"`
	// TTL is how long all of them are kept after the latest one.
	TTL Duration `json:"ttl"`
}

// RecoveryMode says what a subscriber recovers.
type RecoveryMode string

// The values of RecoveryMode.
const (
	// RecoveryStream sends all publications that the subscriber missed.
	RecoveryStream RecoveryMode = "Stream"
	// RecoveryCache sends the latest publication, unless the subscriber has it.
	RecoveryCache RecoveryMode = "Cache"
)

// Publish says which clients may publish. Backends always may.
type Publish string

// The values of Publish.
const (
	// PublishNobody lets no client publish.
	PublishNobody Publish = "Nobody"
	// PublishSubscribers lets the subscribers of the channel publish.
	PublishSubscribers Publish = "Subscribers"
	// PublishAnybody lets every client publish.
	PublishAnybody Publish = "Anybody"
)

// Subscribe says which clients may subscribe.
type Subscribe string

// The values of Subscribe.
const (
	// SubscribeAnybody lets every client subscribe, anonymous ones included.
	SubscribeAnybody Subscribe = "Anybody"
	// SubscribeAuthenticated lets clients subscribe that have a user.
	SubscribeAuthenticated Subscribe = "Authenticated"
	// SubscribeToken lets clients subscribe that have a subscription token for the channel, or a connection token that
	// names it.
	SubscribeToken Subscribe = "Token"
)

// Read says which clients may read the presence or the history. Backends always may.
type Read string

// The values of Read.
const (
	// ReadSubscribers lets the subscribers of the channel read.
	ReadSubscribers Read = "Subscribers"
	// ReadAnybody lets every client read, anonymous ones included.
	ReadAnybody Read = "Anybody"
)

// Rules is an ordered list: the first rule that matches the name of a channel applies.
type Rules []Rule

// PrivatePrefix begins the names of channels that are closed unless a rule for such names opens them: clients need
// permission to subscribe. It is that of Centrifugo's private channels.
const PrivatePrefix = "$"

// For returns the rule that applies to a channel, with its defaults filled in. A channel that no rule matches has a
// rule of defaults. A rule whose pattern does not begin with PrivatePrefix opens no channel whose name does.
func (rs Rules) For(channel string) Rule {
	r := rs.match(channel).withDefaults()
	if strings.HasPrefix(channel, PrivatePrefix) && !strings.HasPrefix(r.Pattern, PrivatePrefix) {
		r.Subscribe = SubscribeToken
		r.ReadPresence, r.ReadHistory = ReadSubscribers, ReadSubscribers
	}
	return r
}

// match returns the first rule that matches a channel, or no rule.
func (rs Rules) match(channel string) Rule {
	for i := range rs {
		if Matches(rs[i].Pattern, channel) {
			return rs[i]
		}
	}
	return Rule{}
}

func (r Rule) withDefaults() Rule {
	r.RecoveryMode = cmp.Or(r.RecoveryMode, RecoveryStream)
	r.ReadPresence = cmp.Or(r.ReadPresence, ReadSubscribers)
	r.ReadHistory = cmp.Or(r.ReadHistory, ReadSubscribers)
	r.Publish = cmp.Or(r.Publish, PublishSubscribers)
	r.Subscribe = cmp.Or(r.Subscribe, SubscribeAnybody)
	r.SlowConsumer = cmp.Or(r.SlowConsumer, Disconnect)
	return r
}

// Check returns nil when the rules can be used, else an error that joins all problems and names the rules by their
// numbers, from 1.
func (rs Rules) Check() error {
	var errs []error
	if len(rs) > MaxRules {
		errs = append(errs, fmt.Errorf("%d rules are more than %d", len(rs), MaxRules))
	}
	seen := map[string]int{}
	for i, r := range rs {
		number := i + 1
		switch first, twice := seen[r.Pattern]; {
		case r.Pattern == "":
			errs = append(errs, fmt.Errorf("rule %d has no pattern", number))
		case utf8.RuneCountInString(r.Pattern) > MaxPatternChars:
			errs = append(errs, fmt.Errorf("the pattern of rule %d has more than %d characters", number, MaxPatternChars))
		case twice:
			errs = append(errs, fmt.Errorf("rule %d has the pattern %q of rule %d", number, r.Pattern, first))
		default:
			seen[r.Pattern] = number
		}
		errs = append(errs, r.check(number)...)
	}
	return errors.Join(errs...)
}

// check returns the problems of one rule, except those of its pattern.
func (r Rule) check(number int) (errs []error) {
	r = r.withDefaults()
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("rule %d "+format, append([]any{number}, args...)...))
	}
	h := r.History
	switch {
	case h.Size < 0 || h.Size > MaxHistorySize:
		fail("has a history.size of %d, which is not from 1 to %d", h.Size, MaxHistorySize)
	case h.Size == 0 && h.TTL != 0:
		fail("has a history.ttl without a history.size")
	case h.Size > 0 && (h.TTL < MinHistoryTTL || h.TTL > MaxHistoryTTL):
		fail("has a history.ttl of %v, which is not from %v to %v", h.TTL, MinHistoryTTL, MaxHistoryTTL)
	}
	if r.Recovery && h.Size == 0 {
		fail("has recovery without history")
	}
	switch {
	case !slices.Contains([]RecoveryMode{RecoveryStream, RecoveryCache}, r.RecoveryMode):
		fail("has the unknown recoveryMode %q", r.RecoveryMode)
	case r.RecoveryMode == RecoveryCache && !r.Recovery:
		fail("has recoveryMode Cache without recovery")
	}
	if r.JoinLeave && !r.Presence {
		fail("has joinLeave without presence")
	}
	if r.ForceJoinLeave && !r.JoinLeave {
		fail("has forceJoinLeave without joinLeave")
	}
	errs = append(errs, r.checkRead(number)...)
	if !slices.Contains([]SlowConsumer{Disconnect, DropOldest, LatestOnly}, r.SlowConsumer) {
		fail("has the unknown slowConsumer %q", r.SlowConsumer)
	} else if r.Recovery && r.SlowConsumer != Disconnect {
		fail("has recovery, which the slowConsumer %s would make a lie", r.SlowConsumer)
	}
	if !slices.Contains([]Publish{PublishNobody, PublishSubscribers, PublishAnybody}, r.Publish) {
		fail("has the unknown publish %q", r.Publish)
	}
	if !slices.Contains([]Subscribe{SubscribeAnybody, SubscribeAuthenticated, SubscribeToken}, r.Subscribe) {
		fail("has the unknown subscribe %q", r.Subscribe)
	}
	return errs
}

// checkRead returns the problems of ReadPresence and ReadHistory, which are not empty.
func (r Rule) checkRead(number int) (errs []error) {
	for _, c := range []struct {
		field string
		value Read
		needs string
		kept  bool
	}{
		{"readPresence", r.ReadPresence, "presence", r.Presence},
		{"readHistory", r.ReadHistory, "history", r.History.Size > 0},
	} {
		switch {
		case !slices.Contains([]Read{ReadSubscribers, ReadAnybody}, c.value):
			errs = append(errs, fmt.Errorf("rule %d has the unknown %s %q", number, c.field, c.value))
		case c.value == ReadAnybody && !c.kept:
			errs = append(errs, fmt.Errorf("rule %d has %s without %s", number, c.field, c.needs))
		}
	}
	return errs
}

// Matches reports whether a name matches a pattern. When a comparison fails after a *, that * takes one byte more and
// the comparison starts again behind it. The * before it need no second try, so the time is at most the product of both
// lengths.
func Matches(pattern, name string) bool {
	star, taken := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, taken = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p, n = p+1, n+1
		case star >= 0:
			taken++
			p, n = star+1, taken
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
