// Package channel says what holds for a channel: an ordered list of rules, each for the channels
// whose names match its pattern. It depends on nothing, so that whoever writes rules and whoever
// goes by them can share it.
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

// SlowConsumer is what happens to the messages of a channel for a client that does not keep up.
type SlowConsumer string

// The values of SlowConsumer.
const (
	// Disconnect closes the client's connection when no more may wait for it.
	Disconnect SlowConsumer = "Disconnect"
	// DropOldest drops the oldest messages that wait for the client.
	DropOldest SlowConsumer = "DropOldest"
	// LatestOnly keeps one message of the channel, the latest, while the client's socket is full.
	LatestOnly SlowConsumer = "LatestOnly"
)

// Bounds of a list of rules. A pattern is as long as a channel's name may be.
const (
	MaxRules        = 64
	MaxPatternChars = 255
	MaxHistorySize  = 100_000
	MinHistoryTTL   = Duration(time.Second)
	MaxHistoryTTL   = Duration(30 * 24 * time.Hour)
)

// Rule is what holds for the channels of a pattern.
type Rule struct {
	// Pattern is a channel's name in which each * stands for any run of characters, also for none.
	Pattern string `json:"pattern"`
	// History is what is kept of the channel's publications.
	History History `json:"history,omitzero"`
	// Recovery lets subscribers that come back get what they missed. It needs History.
	Recovery bool `json:"recovery,omitempty"`
	// Presence keeps who is subscribed, and lets subscribers ask.
	Presence bool `json:"presence,omitempty"`
	// JoinLeave tells subscribers who comes and goes. It needs Presence.
	JoinLeave bool `json:"joinLeave,omitempty"`
	// Publish is Subscribers when it is empty.
	Publish Publish `json:"publish,omitempty"`
	// Subscribe is Anybody when it is empty.
	Subscribe Subscribe `json:"subscribe,omitempty"`
	// SlowConsumer is Disconnect when it is empty.
	SlowConsumer SlowConsumer `json:"slowConsumer,omitempty"`
}

// History is how many of a channel's publications are kept, and for how long after the latest.
type History struct {
	Size int      `json:"size"`
	TTL  Duration `json:"ttl"`
}

// Publish is who of the clients may publish; backends always may.
type Publish string

// The values of Publish.
const (
	PublishNobody      Publish = "Nobody"
	PublishSubscribers Publish = "Subscribers"
	PublishAnybody     Publish = "Anybody"
)

// Subscribe is who may subscribe.
type Subscribe string

// The values of Subscribe.
const (
	// SubscribeAnybody includes clients without a token, where these are let in.
	SubscribeAnybody Subscribe = "Anybody"
	// SubscribeAuthenticated is every client with a user.
	SubscribeAuthenticated Subscribe = "Authenticated"
	// SubscribeToken is who has a subscription token for the channel, or a connection token that
	// names it.
	SubscribeToken Subscribe = "Token"
)

// Rules are in order: the first that matches a channel wins.
type Rules []Rule

// For is the rule of a channel, its defaults filled in; they hold for a channel that none matches.
func (rs Rules) For(channel string) Rule {
	for _, r := range rs {
		if Matches(r.Pattern, channel) {
			return r.withDefaults()
		}
	}
	return Rule{}.withDefaults()
}

func (r Rule) withDefaults() Rule {
	r.Publish = cmp.Or(r.Publish, PublishSubscribers)
	r.Subscribe = cmp.Or(r.Subscribe, SubscribeAnybody)
	r.SlowConsumer = cmp.Or(r.SlowConsumer, Disconnect)
	return r
}

// Check says what is wrong with the rules, all of it, and nil when they can be used.
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

// check says what is wrong with the fields of one rule besides its pattern.
func (r Rule) check(number int) (errs []error) {
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
	if r.JoinLeave && !r.Presence {
		fail("has joinLeave without presence")
	}
	if s := r.withDefaults(); !slices.Contains([]SlowConsumer{Disconnect, DropOldest, LatestOnly}, s.SlowConsumer) {
		fail("has the unknown slowConsumer %q", r.SlowConsumer)
	} else if r.Recovery && s.SlowConsumer != Disconnect {
		fail("has recovery, which the slowConsumer %s would make a lie", s.SlowConsumer)
	}
	if !slices.Contains([]Publish{"", PublishNobody, PublishSubscribers, PublishAnybody}, r.Publish) {
		fail("has the unknown publish %q", r.Publish)
	}
	if !slices.Contains([]Subscribe{"", SubscribeAnybody, SubscribeAuthenticated, SubscribeToken}, r.Subscribe) {
		fail("has the unknown subscribe %q", r.Subscribe)
	}
	return errs
}

// Matches compares a name with a pattern. Where it goes wrong after a *, that * takes one byte more;
// the ones before it need not be tried again.
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
