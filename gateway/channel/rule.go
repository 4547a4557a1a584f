// Package channel says what holds for a channel: an ordered list of rules, each for the channels
// whose names match its pattern. It depends on nothing, so that whoever writes rules and whoever
// goes by them can share it.
package channel

import (
	"errors"
	"fmt"
	"strings"
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
	MostRules      = 64
	LongestPattern = 255
)

// Rule is what holds for the channels of a pattern.
type Rule struct {
	// Pattern is a channel's name in which each * stands for any run of characters, also for none.
	Pattern string `json:"pattern"`
	// SlowConsumer is Disconnect when it is empty.
	SlowConsumer SlowConsumer `json:"slowConsumer,omitempty"`
}

// Rules are in order: the first that matches a channel wins.
type Rules []Rule

// For is the rule of a channel. Without one that matches a slow client is disconnected.
func (rs Rules) For(channel string) Rule {
	for _, r := range rs {
		if matches(r.Pattern, channel) {
			if r.SlowConsumer == "" {
				r.SlowConsumer = Disconnect
			}
			return r
		}
	}
	return Rule{SlowConsumer: Disconnect}
}

// Check says what is wrong with the rules, all of it, and nil when they can be used.
func (rs Rules) Check() error {
	var errs []error
	if len(rs) > MostRules {
		errs = append(errs, fmt.Errorf("%d rules are more than %d", len(rs), MostRules))
	}
	seen := map[string]int{}
	for i, r := range rs {
		number := i + 1
		switch first, twice := seen[r.Pattern]; {
		case r.Pattern == "":
			errs = append(errs, fmt.Errorf("rule %d has no pattern", number))
		case utf8.RuneCountInString(r.Pattern) > LongestPattern:
			errs = append(errs, fmt.Errorf("the pattern of rule %d has more than %d characters", number, LongestPattern))
		case twice:
			errs = append(errs, fmt.Errorf("rule %d has the pattern %q of rule %d", number, r.Pattern, first))
		default:
			seen[r.Pattern] = number
		}
		switch r.SlowConsumer {
		case "", Disconnect, DropOldest, LatestOnly:
		default:
			errs = append(errs, fmt.Errorf("rule %d has the unknown slowConsumer %q", number, r.SlowConsumer))
		}
	}
	return errors.Join(errs...)
}

// matches compares a name with a pattern. Where it goes wrong after a *, that * takes one byte more;
// the ones before it need not be tried again.
func matches(pattern, name string) bool {
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
