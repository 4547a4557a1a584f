package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/hooks"
)

// ConnectRequest is what a connecting client says about itself.
type ConnectRequest struct {
	Client hooks.Client
	// Token is the connection token, or empty.
	Token string
	// Name and Version are those of the client's library.
	Name, Version string
	// Data is the client's, for the connect hook.
	Data hooks.Payload
	// Channels are the channels that the client was subscribed to before, or asks for.
	Channels []string
	// Header is the handshake's, for the connect hook.
	Header http.Header
}

// Identity is what the gateway knows about a client: its token's claims and the connect hook's answer.
type Identity struct {
	// Claims are nil for an anonymous client. They name the personal channel.
	Claims *auth.Claims
	// Personal is the client's personal channel, or empty.
	Personal string
	// Data is the connect hook's, for the client.
	Data hooks.Payload
	// Overrides are nil when the connect hook was not asked, or said nothing about the client.
	Overrides *Overrides
	// tokenClaims are what the token says without the hook; nil without a token.
	tokenClaims *auth.Claims
}

// HasToken reports whether the client has a token, so that it can bring another one before its time ends.
func (i Identity) HasToken() bool { return i.tokenClaims != nil }

// Overrides are what the connect hook says about a client. They last as long as the connection, whatever later tokens
// say.
type Overrides struct {
	result hooks.ConnectResult
	// tokenUser is the user of the client's token.
	tokenUser string
}

// Identify finds out a client's identity by its token and by asking the connect hook, where there is one. It returns
// ErrUnauthorized, ErrInvalidToken, ErrExpiredToken, ErrInfoTooLarge, auth.ErrUnavailable, the hook's hooks.ErrDown,
// *hooks.Error or *hooks.Disconnect, or an error that wraps broker.ErrUnavailable.
func (o *Options) Identify(ctx context.Context, r ConnectRequest) (Identity, error) {
	var i Identity
	if r.Token != "" {
		claims, err := o.verifyConnection(ctx, r.Token)
		if err != nil {
			return i, err
		}
		i.Claims, i.tokenClaims = claims, claims
		r.Client.User, r.Client.Meta = claims.User, claims.Meta
	}
	if o.Hooks.HasConnect() {
		answer, err := o.Hooks.Connect(ctx, hooks.ConnectRequest{
			Client:   r.Client,
			Name:     r.Name,
			Version:  r.Version,
			Data:     r.Data,
			Channels: r.Channels,
			Header:   r.Header,
		})
		if err != nil {
			return i, err
		}
		if tooLarge(answer) {
			return i, ErrInfoTooLarge
		}
		i.Data = answer.Data
		i.Claims, i.Overrides = override(i.Claims, answer)
	}
	if i.Claims == nil && !o.Anonymous {
		return i, ErrUnauthorized
	}
	i.Claims, i.Personal = o.withPersonal(i.Claims)
	o.logNoPersonal(i)
	return i, nil
}

// tooLarge reports whether the connect hook says more about a client than the gateway keeps.
func tooLarge(r *hooks.ConnectResult) bool {
	if len(r.Info) > auth.MaxInfo || len(r.Meta) > auth.MaxInfo {
		return true
	}
	for _, sub := range r.Subs {
		if len(sub.Info) > auth.MaxInfo || len(sub.Data.Bytes) > auth.MaxInfo {
			return true
		}
	}
	return false
}

// verifyConnection returns the claims of a connection token that is valid and not revoked.
func (o *Options) verifyConnection(ctx context.Context, token string) (*auth.Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	claims, err := o.Tokens.Connection(ctx, token)
	if err != nil {
		return nil, tokenError(err)
	}
	return claims, o.checkNotRevoked(ctx, claims.User, claims.IssuedAt)
}

// checkNotRevoked returns ErrInvalidToken when the user's tokens were revoked at or after the time when this one was
// issued. A token without that time counts as revoked once any of the user's tokens was.
func (o *Options) checkNotRevoked(ctx context.Context, user string, issued time.Time) error {
	if user == "" {
		return nil
	}
	revoked, err := o.Broker.Revoked(ctx, user)
	if err != nil {
		return err
	}
	if !revoked.IsZero() && !issued.After(revoked) {
		return fmt.Errorf("%w: tokens of this user were revoked", ErrInvalidToken)
	}
	return nil
}

// CheckNotRevoked checks a client's token once more after the client has been registered. A revocation disconnects the
// registered clients, and would miss one that registers after its first check. It returns ErrInvalidToken, or an error
// that wraps broker.ErrUnavailable.
func (o *Options) CheckNotRevoked(ctx context.Context, i Identity) error {
	if i.tokenClaims == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	return o.checkNotRevoked(ctx, i.tokenClaims.User, i.tokenClaims.IssuedAt)
}

// tokenError returns the session's error for a verifier's error.
func tokenError(err error) error {
	switch {
	case errors.Is(err, auth.ErrExpired):
		return ErrExpiredToken
	case errors.Is(err, auth.ErrUnavailable):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
}

// override returns a token's claims as the connect hook's answer changes them, and the overrides to keep; nil when the
// answer says nothing about the client.
func override(c *auth.Claims, r *hooks.ConnectResult) (*auth.Claims, *Overrides) {
	if r.User == "" && r.ExpireAt == 0 && len(r.Info) == 0 && len(r.Channels) == 0 && len(r.Subs) == 0 &&
		len(r.Caps) == 0 && len(r.Meta) == 0 {
		return c, nil
	}
	merged := merge(c, r)
	result := *r
	result.Data = hooks.Payload{}
	o := &Overrides{result: result, tokenUser: merged.User}
	if c != nil {
		o.tokenUser = c.User
	}
	return merged, o
}

// merge returns new claims: the token's, which may be nil, with the connect hook's in their place or added to them. The
// earlier end wins.
func merge(c *auth.Claims, r *hooks.ConnectResult) *auth.Claims {
	merged := auth.Claims{}
	if c != nil {
		merged = *c
	}
	if r.User != "" {
		merged.User = r.User
	}
	merged.ExpiresAt = earlier(merged.ExpiresAt, r.ExpireAt)
	if len(r.Info) > 0 {
		merged.Info = r.Info
	}
	if len(r.Meta) > 0 {
		merged.Meta = r.Meta
	}
	merged.Channels = slices.Concat(merged.Channels, r.Channels, slices.Sorted(maps.Keys(r.Subs)))
	merged.Subs = mergeSubs(merged.Subs, r.Subs)
	merged.Caps = slices.Clone(merged.Caps)
	for _, c := range r.Caps {
		merged.Caps = append(merged.Caps, auth.Capability{
			Channels: c.Channels, Allow: permissions(c.Allow), Exact: c.Match != hooks.MatchWildcard,
		})
	}
	return &merged
}

// mergeSubs returns what belongs to channels by the token, with the connect hook's in its place or added to it.
func mergeSubs(token map[string]auth.Sub, hook map[string]hooks.Sub) map[string]auth.Sub {
	if len(hook) == 0 {
		return token
	}
	merged := maps.Clone(token)
	if merged == nil {
		merged = make(map[string]auth.Sub, len(hook))
	}
	for channel, sub := range hook {
		merged[channel] = auth.Sub{Info: sub.Info, Data: sub.Data.Bytes, Binary: sub.Data.Binary}
	}
	return merged
}

// earlier returns the earlier of two ends. A zero time and 0 Unix seconds mean no end.
func earlier(at time.Time, unix int64) time.Time {
	end := time.Unix(unix, 0)
	if unix == 0 || !at.IsZero() && at.Before(end) {
		return at
	}
	return end
}

func permissions(names []string) []auth.Permission {
	out := make([]auth.Permission, 0, len(names))
	for _, name := range names {
		out = append(out, auth.Permission(name))
	}
	return out
}
