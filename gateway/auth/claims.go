package auth

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wsfleet/wsfleet/internal/channel"
)

// Bounds of a token's claims.
const (
	// MaxInfo is the maximum size of info, and of meta and the data of a channel, as compact JSON, in bytes.
	MaxInfo = 4 << 10
	// MaxUser is the maximum length of sub, in bytes: that of OpenID Connect Core 1.0, section 2.
	MaxUser = 255
	// MaxChannels is the maximum number of channels, and of patterns of one capability.
	MaxChannels = 128
	// MaxCaps is the maximum number of capabilities.
	MaxCaps = 64
)

// Permission is a permission in a channel, as it is written in tokens.
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

// Capability gives permissions in the channels whose names match one of its patterns.
type Capability struct {
	Channels []string     `json:"channels"`
	Allow    []Permission `json:"allow"`
	// Exact makes Channels names, in which a * stands for itself. Tokens have patterns only.
	Exact bool `json:"-"`
}

func (c Capability) covers(name string) bool {
	if c.Exact {
		return slices.Contains(c.Channels, name)
	}
	return slices.ContainsFunc(c.Channels, func(pattern string) bool { return channel.Matches(pattern, name) })
}

// Claims are the claims of a connection token.
type Claims struct {
	// User is empty for a client without one.
	User string
	// Info is JSON in one line, or nil.
	Info json.RawMessage
	// Channels are the channels that the client is subscribed to when it connects, those of Subs included.
	Channels []string
	// Subs is what belongs to some of Channels, by their names.
	Subs map[string]Sub
	Caps []Capability
	// Meta is a JSON object in one line that only backends see, or nil.
	Meta json.RawMessage
	// IssuedAt is zero when the token has no iat.
	IssuedAt time.Time
	// ExpiresAt is when the connection ends; zero means never.
	ExpiresAt time.Time
}

// Sub is what belongs to a channel that a client is subscribed to when it connects.
type Sub struct {
	// Info is JSON that others see about the client in this channel, or nil.
	Info json.RawMessage
	// Data is sent to the client when the subscription begins. It is JSON unless Binary is set.
	Data   []byte
	Binary bool
}

// Names reports whether a channel is one of Channels. Nil claims name none.
func (c *Claims) Names(name string) bool { return c != nil && slices.Contains(c.Channels, name) }

// Allows reports whether the claims give a permission in a channel: by a capability, or to subscribe to one of
// Channels. Nil claims give none.
func (c *Claims) Allows(p Permission, name string) bool {
	if c == nil {
		return false
	}
	if p == Subscribe && c.Names(name) {
		return true
	}
	return slices.ContainsFunc(c.Caps, func(capability Capability) bool {
		return slices.Contains(capability.Allow, p) && capability.covers(name)
	})
}

// SubscriptionClaims are the claims of a subscription token.
type SubscriptionClaims struct {
	User, Channel string
	// Info is JSON in one line, or nil.
	Info json.RawMessage
	// Allow are permissions in the channel besides subscribing; nil when the token has none.
	Allow []Permission
	// IssuedAt is zero when the token has no iat.
	IssuedAt time.Time
	// ExpiresAt is when the subscription ends; zero means never.
	ExpiresAt time.Time
}

// connection returns the claims of a connection token, or an ErrInvalid.
func (p *payload) connection() (*Claims, error) {
	if err := p.checkUser(); err != nil {
		return nil, err
	}
	info, err := p.info()
	if err != nil {
		return nil, err
	}
	c := &Claims{User: p.user, Info: info, IssuedAt: p.issuedAt}
	if c.ExpiresAt, err = p.end(); err != nil {
		return nil, err
	}
	if c.Meta, err = p.meta(); err != nil {
		return nil, err
	}
	if err := p.readChannels(c); err != nil {
		return nil, err
	}
	c.Caps, err = p.caps()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// readChannels sets the channels of c, or returns an ErrInvalid.
func (p *payload) readChannels(c *Claims) (err error) {
	if err := p.decode(claimChannels, &c.Channels); err != nil {
		return err
	}
	if !all(c.Channels, channel.ValidName) {
		return invalid("its channels hold what is no name of a channel")
	}
	if c.Subs, err = p.subs(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Subs)) {
		if !slices.Contains(c.Channels, name) {
			c.Channels = append(c.Channels, name)
		}
	}
	if len(c.Channels) > MaxChannels {
		return invalid("its channels are more than %d", MaxChannels)
	}
	return nil
}

// caps returns the capabilities, or an ErrInvalid. Those of Centrifugo may say how names are compared; one that would
// be compared in another way than here is refused.
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

// subscription returns the claims of a subscription token, or an ErrInvalid.
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
	p.overrides = p.has(claimOverride)
	s := &SubscriptionClaims{User: p.user, Channel: name, Info: info, IssuedAt: p.issuedAt}
	if s.ExpiresAt, err = p.end(); err != nil {
		return nil, err
	}
	if err := p.decode(claimAllow, &s.Allow); err != nil {
		return nil, err
	}
	if !all(s.Allow, Permission.known) {
		return nil, invalid("its allow holds an unknown permission")
	}
	return s, nil
}

// checkUser returns an ErrInvalid for a user that could not be stored or logged.
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
