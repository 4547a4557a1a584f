package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/hooks"
)

// Presented is what a client that connects says of itself.
type Presented struct {
	Client hooks.Client
	// Token is empty when it has none.
	Token         string
	Name, Version string
	Data          hooks.Payload
	// Channels are those that it has been subscribed to before, or wants to be.
	Channels []string
	Header   http.Header
}

// Identified is who a client is.
type Identified struct {
	// Claims are nil for a client that nobody knows.
	Claims *auth.Claims
	// Data is the backend's, for the client.
	Data hooks.Payload
	// Backing is nil when the backend was not asked, or said nothing that lasts.
	Backing *Backing
	// token is what the client's token said by itself; nil without one.
	token *auth.Claims
}

// Backing is what the backend says of a client for as long as its connection lasts, whatever later tokens
// say.
type Backing struct {
	said hooks.ConnectResult
	// tokenUser is who the client's token was of.
	tokenUser string
}

// Identify finds out who a client is: by its token, and by asking the backend where there is a hook.
func (o *Options) Identify(ctx context.Context, p Presented) (Identified, error) {
	var i Identified
	if p.Token != "" {
		claims, err := o.verify(ctx, p.Token)
		if err != nil {
			return i, err
		}
		i.Claims, i.token = claims, claims
		p.Client.User = claims.User
	}
	if o.Hooks.HasConnect() {
		result, err := o.Hooks.Connect(ctx, hooks.ConnectRequest{
			Client: p.Client, Name: p.Name, Version: p.Version, Data: p.Data, Channels: p.Channels, Header: p.Header,
		})
		if err != nil {
			return i, err
		}
		if len(result.Info) > auth.MaxInfo {
			return i, ErrInfo
		}
		i.Data = result.Data
		i.Claims, i.Backing = back(i.Claims, result)
	}
	if i.Claims == nil && !o.Anonymous {
		return i, ErrUnauthorized
	}
	return i, nil
}

// verify is what a token says, if it counts.
func (o *Options) verify(ctx context.Context, token string) (*auth.Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	claims, err := o.Tokens.Connection(ctx, token)
	if err != nil {
		return nil, tokenError(err)
	}
	return claims, o.standing(ctx, claims.User, claims.IssuedAt)
}

// standing says whether a user's token of some time was not revoked. One without a time has been, once
// any was.
func (o *Options) standing(ctx context.Context, user string, issued time.Time) error {
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

// Confirm looks at a client's token once more when others can find the client: who revoked the token
// before has not found it.
func (o *Options) Confirm(ctx context.Context, i Identified) error {
	if i.token == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	return o.standing(ctx, i.token.User, i.token.IssuedAt)
}

// tokenError is what a verifier's error is to a client.
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

// back adds what the backend says to what a token said, if it says anything.
func back(c *auth.Claims, r *hooks.ConnectResult) (*auth.Claims, *Backing) {
	if r.User == "" && r.ExpireAt == 0 && len(r.Info) == 0 && len(r.Channels) == 0 && len(r.Caps) == 0 {
		return c, nil
	}
	merged := merge(c, r)
	said := *r
	said.Data = hooks.Payload{}
	b := &Backing{said: said, tokenUser: merged.User}
	if c != nil {
		b.tokenUser = c.User
	}
	return merged, b
}

// merge adds what the backend says to what a token said. The backend wins.
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
	merged.Channels = slices.Concat(merged.Channels, r.Channels)
	merged.Caps = slices.Clone(merged.Caps)
	for _, c := range r.Caps {
		merged.Caps = append(merged.Caps, auth.Capability{Channels: c.Channels, Allow: permissions(c.Allow), Exact: c.Match != hooks.MatchWildcard})
	}
	return &merged
}

// earlier is the first of two ends, of which one or both may be none. The second is in Unix seconds.
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

// Refresh takes a new token of the same user.
func (s *Session) Refresh(ctx context.Context, token string) (expiresAt time.Time, err error) {
	claims, err := s.options.verify(ctx, token)
	if err != nil {
		return time.Time{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch b := s.backing; {
	case s.who == nil, b == nil && claims.User != s.who.User, b != nil && claims.User != b.tokenUser:
		return time.Time{}, fmt.Errorf("%w: it is of another user", ErrInvalidToken)
	case b != nil:
		claims = merge(claims, &b.said)
	}
	s.who = claims
	return s.who.ExpiresAt, nil
}
