package auth

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wsfleet/wsfleet/internal/channel"
)

// Bounds of what a token says.
const (
	// MaxInfo is in bytes, without needless spaces.
	MaxInfo = 4 << 10
	// MaxUser is in bytes. OpenID Connect has the same bound.
	MaxUser     = 255
	MaxChannels = 128
	// MaxCaps bounds the list, and MaxChannels the patterns of each.
	MaxCaps = 64
)

// Permission is something that a client may do in a channel.
type Permission string

// The permissions, as they are written in tokens.
const (
	Subscribe Permission = "sub"
	Publish   Permission = "pub"
	Presence  Permission = "prs"
	History   Permission = "hst"
)

func (p Permission) known() bool {
	return slices.Contains([]Permission{Subscribe, Publish, Presence, History}, p)
}

// Capability is what a client may do in the channels whose names match one of some patterns.
type Capability struct {
	Channels []string     `json:"channels"`
	Allow    []Permission `json:"allow"`
	// Exact: they are names, and a * in one stands for itself. Those of tokens never are.
	Exact bool `json:"-"`
}

func (c Capability) covers(name string) bool {
	if c.Exact {
		return slices.Contains(c.Channels, name)
	}
	return slices.ContainsFunc(c.Channels, func(pattern string) bool { return channel.Matches(pattern, name) })
}

// Claims are what a connection token says.
type Claims struct {
	// User is empty for a client without one.
	User string
	// Info is JSON in one line, or nil.
	Info json.RawMessage
	// Channels are those that the client is subscribed to when it connects.
	Channels []string
	Caps     []Capability
	// IssuedAt is zero when the token does not say it, and ExpiresAt when the token does not end.
	IssuedAt, ExpiresAt time.Time
}

// Allows reports whether the token gives a permission: by a capability, or to subscribe to one of its
// Channels. Without Claims nothing is given.
func (c *Claims) Allows(p Permission, name string) bool {
	if c == nil {
		return false
	}
	if p == Subscribe && slices.Contains(c.Channels, name) {
		return true
	}
	return slices.ContainsFunc(c.Caps, func(capability Capability) bool {
		return slices.Contains(capability.Allow, p) && capability.covers(name)
	})
}

// SubscriptionClaims are what a subscription token says.
type SubscriptionClaims struct {
	User, Channel string
	// Info is JSON in one line, or nil.
	Info json.RawMessage
	// Allow is what the client may do in the channel besides what the token is for. It is nil when the
	// token does not say it.
	Allow []Permission
	// IssuedAt is zero when the token does not say it, and ExpiresAt when the token does not end.
	IssuedAt, ExpiresAt time.Time
}

// connection reads the claims of a connection token.
func (p *payload) connection() (*Claims, error) {
	if err := p.checkUser(); err != nil {
		return nil, err
	}
	info, err := p.info()
	if err != nil {
		return nil, err
	}
	c := &Claims{User: p.user, Info: info, IssuedAt: p.issuedAt, ExpiresAt: p.expiresAt}
	if err := p.decode(claimChannels, &c.Channels); err != nil {
		return nil, err
	}
	if len(c.Channels) > MaxChannels {
		return nil, invalid("its channels are more than %d", MaxChannels)
	}
	if !all(c.Channels, channel.ValidName) {
		return nil, invalid("its channels hold what is no name of a channel")
	}
	c.Caps, err = p.caps()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// caps reads capabilities. Centrifugo's may say how to compare; what would be compared in another way
// than here must not pass for a pattern.
func (p *payload) caps() ([]Capability, error) {
	var written []struct {
		Capability
		Match string `json:"match"`
	}
	if err := p.decode(claimCaps, &written); err != nil {
		return nil, err
	}
	if len(written) > MaxCaps {
		return nil, invalid("its caps are more than %d", MaxCaps)
	}
	var caps []Capability
	for _, w := range written {
		switch {
		case w.Match != "" && w.Match != "wildcard":
			return nil, invalid("its caps have a match other than wildcard")
		case len(w.Channels) > MaxChannels:
			return nil, invalid("one of its caps has more than %d channels", MaxChannels)
		case !all(w.Channels, isPattern):
			return nil, invalid("its caps hold what is no pattern of channels")
		case !all(w.Allow, Permission.known):
			return nil, invalid("its caps hold an unknown permission")
		}
		caps = append(caps, w.Capability)
	}
	return caps, nil
}

// subscription reads the claims of a subscription token.
func (p *payload) subscription() (*SubscriptionClaims, error) {
	if err := p.checkUser(); err != nil {
		return nil, err
	}
	name, err := p.text(claimChannel)
	switch {
	case err != nil:
		return nil, err
	case !channel.ValidName(name):
		return nil, invalid("its channel is no name of a channel")
	}
	info, err := p.info()
	if err != nil {
		return nil, err
	}
	s := &SubscriptionClaims{User: p.user, Channel: name, Info: info, IssuedAt: p.issuedAt, ExpiresAt: p.expiresAt}
	if err := p.decode(claimAllow, &s.Allow); err != nil {
		return nil, err
	}
	if !all(s.Allow, Permission.known) {
		return nil, invalid("its allow holds an unknown permission")
	}
	return s, nil
}

// checkUser refuses names that could not be stored or logged.
func (p *payload) checkUser() error {
	if len(p.user) > MaxUser || strings.ContainsFunc(p.user, unicode.IsControl) {
		return invalid("its sub is longer than %d bytes, or holds control characters", MaxUser)
	}
	return nil
}

func isPattern(pattern string) bool {
	return pattern != "" && utf8.RuneCountInString(pattern) <= channel.MaxPatternChars
}

func all[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(item T) bool { return !is(item) })
}
