package session

import (
	"context"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/timeout"
)

// Subscriber is a client that subscribes. It gets the frames of its channels, and the presence keeper asks it what
// other clients see of it.
type Subscriber interface {
	hub.Subscriber
	// PresenceInfo returns what other clients see of the client in a channel, or false when it has left the channel.
	PresenceInfo(channel string) (broker.ClientInfo, bool)
}

// SubscribeRequest is what a client, or the server for it, wants of a channel.
type SubscribeRequest struct {
	Channel string
	// Subscriber gets the channel's frames.
	Subscriber Subscriber
	// Protocol is the name of the client's protocol, for the subscribe hook.
	Protocol string
	// Token is the client's subscription token, or empty.
	Token string
	// Data is the client's, for the subscribe hook.
	Data hooks.Payload
	// Since is the position that the client has reached, or nil. Where the rule has recovery it gets what came after, or
	// the latest of that, as the rule's RecoveryMode says.
	Since *broker.Position
	// Positioned asks for a position, and for the end of the subscription when something is missing. Channels whose rule
	// has recovery have that anyway.
	Positioned bool
	// JoinLeave asks for the channel's joins and leaves. Where the rule has forceJoinLeave they come anyway.
	JoinLeave bool
	// Filter says which publications the client wants; nil is all. The rule must have tagsFilter.
	Filter *tagfilter.Filter
	// Delta encodes what has changed from one publication to the next, for a client that asks for that; nil is the
	// subscriber's encoder. It is not used where slow clients miss publications, nor with a Filter.
	Delta hub.DeltaEncoder
	// RequireComplete asks for broker.ErrUnrecoverable instead of a subscription with a gap after Since. With
	// channel.RecoveryCache, where gaps are meant to be, it asks for nothing.
	RequireComplete bool
	// LargeTurn is called before the client recovers more than a small share of Options.MaxHistoryBytes. It blocks until
	// the client may get that, and release is called once the answer is queued. nil means at once.
	LargeTurn func() (release func(), err error)
	// NoNotify says that the protocol cannot tell the client about a gap, so that the subscription goes on after one.
	NoNotify bool

	// ServerSide says that the server makes the subscription: neither the rule nor the subscribe hook is asked, and Info
	// and ExpiresAt are the server's.
	ServerSide bool
	// FromIdentity says of a ServerSide subscription that the client's identity names the channel, and has its Info: it
	// ends with a new token that does not name it.
	FromIdentity bool
	// Info is JSON that others see about the client in this channel.
	Info []byte
	// ExpiresAt ends the subscription; zero means never.
	ExpiresAt time.Time
	// Renewable gives a client with a subscription token ExpiryGrace after ExpiresAt to bring a new one.
	Renewable bool
	// Expired is called after the subscription expired; it may be nil.
	Expired func(channel string)
	// Disconnected is called when the backend, which is asked to refresh the subscription, disconnects the client. nil
	// ends the subscription only.
	Disconnected func(*hooks.Disconnect)
}

// SubscribeResult is what the client learns about a new subscription.
type SubscribeResult struct {
	Rule channel.Rule
	// Positioned reports that AttachResult holds the client's position in the stream.
	Positioned bool
	// Delta reports that the client gets publications as SubscribeRequest.Delta encodes them.
	Delta bool
	hub.AttachResult
	// ExpiresAt is when the client needs a new subscription token. It is zero when the subscription does not expire, when
	// it expires and the client has no token that it could replace, and where the backend refreshes subscriptions.
	ExpiresAt time.Time
	// Data is the subscribe hook's or the identity's, for the client.
	Data hooks.Payload
}

// Subscribe subscribes the client to a channel. begun is called once, before the first publication is delivered, with a
// result whose slices must not be changed. After an error begun was not called, and nothing of the subscription is
// left.
//
// Besides the errors of authorisation (ErrNotAllowed, ErrInvalidToken, ErrExpiredToken, auth.ErrUnavailable,
// ErrInfoTooLarge, hooks.ErrDown, *hooks.Error and *hooks.Disconnect) it returns ErrChannelName, ErrSubscribed,
// ErrTooManyChannels, ErrTooManyFilters, ErrNotAvailable for a filter, broker.ErrUnrecoverable, ErrSubscriptionEnded,
// or an error that wraps broker.ErrUnavailable.
func (s *Session) Subscribe(ctx context.Context, r SubscribeRequest, begun func(SubscribeResult)) error {
	hubSub, data, err := s.reserve(ctx, &r)
	if err != nil {
		return err
	}
	if err := s.activate(ctx, hubSub, r, data, begun); err != nil {
		return err
	}
	// Last, so that a subscription whose time is over begins and then expires.
	s.scheduleExpiry(hubSub, r.ending())
	return nil
}

// Reserve makes the gateway receive a channel for a client whose connection does not exist yet, and counts it among the
// session's channels. Nothing is delivered before Attach. Its errors are those of Subscribe.
func (s *Session) Reserve(ctx context.Context, r SubscribeRequest) error {
	hubSub, _, err := s.reserve(ctx, &r)
	if err == nil {
		s.scheduleExpiry(hubSub, r.ending())
	}
	return err
}

// Attach begins the delivery of a reserved channel, to a client that cannot be told about a gap. It returns
// ErrNotSubscribed for a channel that is not reserved (any more), ErrSubscriptionEnded when the reservation ends
// meanwhile, and an error of the broker when the client cannot be made present.
func (s *Session) Attach(ctx context.Context, channel string, m Subscriber) error {
	hubSub, _ := s.subscriptionTo(channel)
	if hubSub == nil {
		return ErrNotSubscribed
	}
	r := SubscribeRequest{Subscriber: m, NoNotify: true}
	return s.activate(ctx, hubSub, r, hooks.Payload{}, func(SubscribeResult) {})
}

// reserve reserves a slot, authorises the subscription, makes it at the hub, and puts it into the slot. It sets the
// fields of r that a token or the subscribe hook decides.
func (s *Session) reserve(ctx context.Context, r *SubscribeRequest) (*hub.Subscription, hooks.Payload, error) {
	if err := CheckChannel(r.Channel); err != nil {
		return nil, hooks.Payload{}, err
	}
	if r.Filter != nil && !s.Rule(r.Channel).TagsFilter {
		return nil, hooks.Payload{}, ErrNotAvailable
	}
	// The slot comes first, so that the backend is not asked about a subscription that cannot be made.
	number, err := s.reserveSlot(r.Channel, r.origin(), r.Filter != nil)
	if err != nil {
		return nil, hooks.Payload{}, err
	}
	a, err := s.authorise(ctx, r)
	if err != nil {
		s.releaseSlot(number)
		return nil, a.data, err
	}
	hubSub, err := s.options.Hub.Subscribe(ctx, r.Channel)
	if err != nil {
		s.releaseSlot(number)
		return nil, a.data, err
	}
	if err := s.fillSlot(number, hubSub, a); err != nil {
		hubSub.Release()
		return nil, a.data, err
	}
	return hubSub, a.data, nil
}

// origin returns what makes the subscription.
func (r *SubscribeRequest) origin() origin {
	switch {
	case r.FromIdentity:
		return fromIdentity
	case r.ServerSide:
		return fromBackend
	case r.Token != "":
		return fromToken
	}
	return fromClient
}

// authorisation is what allows a subscription.
type authorisation struct {
	origin origin
	// claims are the client's that were looked at.
	claims *auth.Claims
	// grant is nil where the subscription needs none.
	grant *grant
	// data is the subscribe hook's or the identity's, for the client.
	data hooks.Payload
}

// authorise finds out whether a subscription may be made. The server may make every one.
func (s *Session) authorise(ctx context.Context, r *SubscribeRequest) (a authorisation, err error) {
	a.origin, a.claims = r.origin(), s.identity()
	switch {
	case r.FromIdentity && a.claims != nil:
		sub := a.claims.Subs[r.Channel]
		a.data = hooks.Payload{Bytes: sub.Data, Binary: sub.Binary}
	case !r.ServerSide:
		if err = s.authoriseClient(ctx, r, &a); err != nil {
			return a, err
		}
	}
	if a.grant == nil && (len(r.Info) > 0 || !r.ExpiresAt.IsZero()) {
		a.grant = &grant{}
	}
	if a.grant != nil {
		a.grant.info = r.Info
	}
	return a, nil
}

// authoriseClient verifies the client's subscription token, applies the channel's rule and asks the subscribe hook. It
// sets the grant and the data of a.
func (s *Session) authoriseClient(ctx context.Context, r *SubscribeRequest, a *authorisation) (err error) {
	var token *auth.SubscriptionClaims
	r.Renewable = r.Renewable && r.Token != ""
	if r.Token != "" {
		if token, err = s.verifySubscription(ctx, r.Channel, r.Token); err != nil {
			return err
		}
		r.Info, r.ExpiresAt = token.Info, token.ExpiresAt
		a.grant = &grant{allow: token.Allow}
	}
	if !s.options.maySubscribe(s.Rule(r.Channel), a.claims, r.Channel, token) {
		return ErrNotAllowed
	}
	if !s.options.Hooks.HasSubscribe() {
		return nil
	}
	answer, err := s.options.Hooks.Subscribe(ctx, hooks.SubscribeRequest{
		Client: s.hookClient(r.Protocol), Channel: r.Channel, Data: r.Data,
	})
	if err != nil {
		return err
	}
	if len(answer.Info) > auth.MaxInfo {
		return ErrInfoTooLarge
	}
	if len(answer.Info) > 0 {
		r.Info = answer.Info
	}
	if answer.ExpireAt != 0 {
		if a.grant == nil {
			a.grant = &grant{}
		}
		a.grant.until, r.ExpiresAt = answer.ExpireAt, earlier(r.ExpiresAt, answer.ExpireAt)
	}
	a.data = answer.Data
	return nil
}

// verifySubscription returns the claims of a subscription token, or ErrInvalidToken, ErrExpiredToken,
// auth.ErrUnavailable or broker.ErrUnavailable.
func (s *Session) verifySubscription(ctx context.Context, channel, token string) (*auth.SubscriptionClaims, error) {
	user := s.User()
	claims, err := s.options.Tokens.Subscription(ctx, token, user, channel)
	if err != nil {
		return nil, tokenError(err)
	}
	if err := s.options.checkNotRevoked(ctx, user, claims.IssuedAt); err != nil {
		return nil, err
	}
	return claims, nil
}

// hookClient returns the client as hooks see it.
func (s *Session) hookClient(protocol string) hooks.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := hooks.Client{ID: s.clientID(), Protocol: protocol}
	if s.claims != nil {
		c.User, c.Meta = s.claims.User, s.claims.Meta
	}
	return c
}

// activate makes the client present and begins the delivery, unless the subscription is ended meanwhile. The join is
// published after the client has its answer, and never when it gets an error.
func (s *Session) activate(
	ctx context.Context, hubSub *hub.Subscription, r SubscribeRequest, data hooks.Payload, begun func(SubscribeResult),
) error {
	rule, hasBegun := hubSub.Rule(), false
	settle, err := s.joinPresence(ctx, hubSub, rule)
	defer func() { settle(hasBegun) }()
	if err == nil {
		result := SubscribeResult{Rule: rule, Data: data}
		if r.Renewable {
			result.ExpiresAt = s.told(r.ExpiresAt)
		}
		err = s.attach(ctx, hubSub, r, result, func(result SubscribeResult) {
			hasBegun = true
			begun(result)
		})
	}
	if hasBegun {
		return nil
	}
	if aborted := s.abort(hubSub); aborted && err != nil {
		return err
	}
	return ErrSubscriptionEnded
}

// joinPresence makes the client present where the rule keeps presence. It does so before the client has its answer,
// because the client may ask for the members as soon as it has that. The caller must call settle in any case, and say
// whether the subscription has begun.
func (s *Session) joinPresence(
	ctx context.Context, hubSub *hub.Subscription, rule channel.Rule,
) (settle func(begun bool), err error) {
	nothing := func(bool) {}
	if !rule.Presence {
		return nothing, nil
	}
	info, ok := s.infoFor(hubSub)
	if !ok {
		return nothing, ErrSubscriptionEnded
	}
	ctx, cancel := timeout.After(ctx, s.options.Timeout)
	defer cancel()
	if settle, err = s.options.Presence.Join(ctx, hubSub.Channel(), info); err != nil {
		return nothing, err
	}
	if !s.markInPresence(hubSub) {
		err = ErrSubscriptionEnded
	}
	return settle, err
}

// attach begins the delivery of a channel. begun gets the result, completed by the position where there is one.
func (s *Session) attach(
	ctx context.Context, hubSub *hub.Subscription, r SubscribeRequest, result SubscribeResult,
	begun func(SubscribeResult),
) error {
	rule := result.Rule
	if r.RequireComplete && r.Since != nil && !rule.Recovery {
		return broker.ErrUnrecoverable
	}
	cached := rule.RecoveryMode == channel.RecoveryCache
	o := hub.AttachOptions{
		Positioned:      !r.NoNotify && (rule.Recovery || r.Positioned && rule.History.Size > 0),
		JoinLeave:       rule.JoinLeave && (r.JoinLeave || rule.ForceJoinLeave),
		InPresence:      rule.Presence,
		RecoverLatest:   cached,
		RequireComplete: r.RequireComplete && !cached,
		Filter:          r.Filter,
	}
	if r.Delta != nil && r.Filter == nil && rule.SlowConsumer == channel.Disconnect {
		o.Delta, result.Delta = r.Delta, true
	}
	if !o.Positioned {
		hubSub.Attach(r.Subscriber, o, func() { begun(result) })
		return nil
	}
	result.Positioned = true
	since := r.Since
	if !rule.Recovery {
		since = nil
	}
	attach := func() error {
		ctx, cancel := timeout.After(ctx, s.options.Timeout)
		defer cancel()
		return hubSub.AttachPositioned(ctx, r.Subscriber, o, since, func(attached hub.AttachResult) {
			result.AttachResult = attached
			begun(result)
		})
	}
	if r.LargeTurn != nil && since != nil {
		o.MaxRecoveredBytes = s.options.MaxHistoryBytes / smallShare
	}
	err := attach()
	if !errors.Is(err, broker.ErrTooLarge) {
		return err
	}
	release, err := r.LargeTurn()
	if err != nil {
		return err
	}
	defer release()
	o.MaxRecoveredBytes = 0
	return attach()
}

// smallShare divides Options.MaxHistoryBytes: what a client recovers in many channels side by side must not take more
// than one large answer.
const smallShare = 128

// RenewRequest is what a client brings for a subscription whose time ends.
type RenewRequest struct {
	Channel string
	// Token is the new subscription token.
	Token string
	// Protocol, Expired and Disconnected are those of SubscribeRequest.
	Protocol     string
	Expired      func(channel string)
	Disconnected func(*hooks.Disconnect)
}

// Renew takes a new token for a subscription, whose claims hold from then on, and returns when the client needs another
// one; zero means never. It returns ErrNotSubscribed without a subscription, ErrSubscriptionEnded when it ends
// meanwhile, ErrInvalidToken, ErrExpiredToken, auth.ErrUnavailable, or an error that wraps broker.ErrUnavailable.
func (s *Session) Renew(ctx context.Context, r RenewRequest) (expiresAt time.Time, err error) {
	hubSub, _ := s.subscriptionTo(r.Channel)
	if hubSub == nil {
		return time.Time{}, ErrNotSubscribed
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	claims, err := s.verifySubscription(ctx, r.Channel, r.Token)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := s.updateGrant(hubSub, claims)
	if !ok || !s.scheduleExpiry(hubSub, ending{at, true, r.Protocol, r.Expired, r.Disconnected}) {
		return time.Time{}, ErrSubscriptionEnded
	}
	return s.told(at), nil
}

// told returns the end that the client is told: none where the backend is asked to refresh the subscription.
func (s *Session) told(at time.Time) time.Time {
	if s.options.Hooks.HasSubRefresh() {
		return time.Time{}
	}
	return at
}

// CheckChannel returns ErrChannelName for a name that could not be logged, typed or stored.
func CheckChannel(name string) error {
	if !channel.ValidName(name) {
		return ErrChannelName
	}
	return nil
}
