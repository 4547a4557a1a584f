package session

import (
	"context"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Subscription is what somebody wants of a channel for a client.
type Subscription struct {
	Channel string
	Member  hub.Subscriber
	// Protocol is the client's, for the backend.
	Protocol string
	// Token and Data are the client's.
	Token string
	Data  hooks.Payload
	// Since is a position to go on from. Positioned members are told when they would miss something;
	// they are positioned anyway where the rule says recovery.
	Since                 *broker.Position
	Positioned, JoinLeave bool
	// Whole: rather ErrUnrecoverable than a gap after Since.
	Whole bool
	// Untold: the client cannot be told that it misses something, so it goes on.
	Untold bool

	// ServerSide: the server wants it, and asks nobody. Info and ExpiresAt are then the server's.
	ServerSide bool
	Info       []byte
	ExpiresAt  time.Time
	// Renewable: the client can bring a new token, and has some time for it.
	Renewable bool
	// Expired, if it is there, is told of the end of a subscription whose time was over.
	Expired func(channel string)
}

// Subscribed is what a client is told of a subscription.
type Subscribed struct {
	Rule channel.Rule
	// Positioned: Joined says where the client is in the stream.
	Positioned bool
	hub.AttachResult
	// ExpiresAt is zero when it does not.
	ExpiresAt time.Time
	Data      hooks.Payload
}

// Subscribe lets the client have a channel. first is called before the first publication can follow;
// after an error it was not called, and the client has nothing of the channel.
func (s *Session) Subscribe(ctx context.Context, w Subscription, first func(Subscribed)) error {
	hold, data, err := s.reserve(ctx, &w)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, hold, w, data, first); err != nil {
		return err
	}
	// Not before: a subscription whose time is over already begins, and then ends.
	s.expireAt(hold, w)
	return nil
}

// Reserve makes this gateway receive a channel for a client whose connection does not exist yet, and
// counts it as the session's. Nothing is delivered before Attach.
func (s *Session) Reserve(ctx context.Context, w Subscription) error {
	hold, _, err := s.reserve(ctx, &w)
	if err == nil {
		s.expireAt(hold, w)
	}
	return err
}

// Attach begins the delivery of a reserved channel, to a client that cannot be told of a gap.
func (s *Session) Attach(ctx context.Context, channel string, m hub.Subscriber) error {
	hold, _ := s.held(channel)
	if hold == nil {
		return ErrNotSubscribed
	}
	return s.begin(ctx, hold, Subscription{Member: m, Untold: true}, hooks.Payload{}, func(Subscribed) {})
}

// reserve takes a place in the list, agrees on the terms, and fills the place with a hold.
func (s *Session) reserve(ctx context.Context, w *Subscription) (*hub.Subscription, hooks.Payload, error) {
	if err := CheckChannel(w.Channel); err != nil {
		return nil, hooks.Payload{}, err
	}
	// The place comes first: who has no right to it need not be asked about.
	number, err := s.place(w.Channel)
	if err != nil {
		return nil, hooks.Payload{}, err
	}
	t, data, err := s.agree(ctx, w)
	if err != nil {
		s.leavePlace(number)
		return nil, data, err
	}
	hold, err := s.options.Hub.Subscribe(ctx, w.Channel)
	if err != nil {
		s.leavePlace(number)
		return nil, data, err
	}
	if !s.fill(number, hold, t) {
		hold.Release()
		return nil, data, ErrSubscriptionEnded
	}
	return hold, data, nil
}

// agree says on which terms a client gets a channel, if it does.
func (s *Session) agree(ctx context.Context, w *Subscription) (t *terms, data hooks.Payload, err error) {
	if !w.ServerSide {
		if t, data, err = s.ask(ctx, w); err != nil {
			return nil, data, err
		}
	}
	if t == nil && (w.ServerSide || len(w.Info) > 0 || !w.ExpiresAt.IsZero()) {
		t = &terms{}
	}
	if t != nil {
		t.serverSide, t.info = w.ServerSide, w.Info
	}
	return t, data, nil
}

// ask looks at a client's token and asks the backend.
func (s *Session) ask(ctx context.Context, w *Subscription) (t *terms, data hooks.Payload, err error) {
	who, user := s.claims(), s.User()
	var ticket *auth.SubscriptionClaims
	if w.Token != "" {
		if ticket, err = s.options.Tokens.Subscription(ctx, w.Token, user, w.Channel); err != nil {
			return nil, data, tokenError(err)
		}
		if err := s.options.standing(ctx, user, ticket.IssuedAt); err != nil {
			return nil, data, err
		}
		w.Info, w.ExpiresAt = ticket.Info, ticket.ExpiresAt
		t = &terms{allow: ticket.Allow}
	}
	if !maySubscribe(s.Rule(w.Channel), who, w.Channel, ticket) {
		return nil, data, ErrNotAllowed
	}
	if !s.options.Hooks.HasSubscribe() {
		return t, data, nil
	}
	r, err := s.options.Hooks.Subscribe(ctx, hooks.SubscribeRequest{Client: s.asked(w.Protocol), Channel: w.Channel, Data: w.Data})
	if err != nil {
		return nil, data, err
	}
	if len(r.Info) > auth.MaxInfo {
		return nil, data, ErrInfo
	}
	if len(r.Info) > 0 {
		w.Info = r.Info
	}
	if r.ExpireAt != 0 {
		if t == nil {
			t = &terms{}
		}
		t.until, w.ExpiresAt = r.ExpireAt, earlier(w.ExpiresAt, r.ExpireAt)
	}
	return t, r.Data, nil
}

// asked is the client as the backend is told of it.
func (s *Session) asked(protocol string) hooks.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := hooks.Client{ID: s.id(), Protocol: protocol}
	if s.who != nil {
		c.User = s.who.User
	}
	return c
}

// begin makes the client present and lets its publications come, unless somebody ends the subscription
// meanwhile. Others hear that the client is there after it has its answer, and never if it has none; that a
// handshake's answer is lost comes later.
func (s *Session) begin(ctx context.Context, hold *hub.Subscription, w Subscription, data hooks.Payload, first func(Subscribed)) error {
	rule, begun := s.Rule(hold.Channel()), false
	if rule.Presence || rule.History.Size > 0 {
		// Only then the broker is asked, and a context with a time is not free.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.options.Timeout)
		defer cancel()
	}
	settle, err := s.appear(ctx, hold, rule)
	defer func() { settle(begun) }()
	if err == nil {
		err = s.deliver(ctx, hold, rule, w, Subscribed{Rule: rule, ExpiresAt: w.ExpiresAt, Data: data}, func(told Subscribed) {
			begun = true
			first(told)
		})
	}
	if begun {
		return nil
	}
	if dropped := s.drop(hold); dropped && err != nil {
		return err
	}
	return ErrSubscriptionEnded
}

// appear makes the client present where the rule keeps presence, before its answer: it may ask who is
// there as soon as it has that. settle says in any case whether the subscription has begun.
func (s *Session) appear(ctx context.Context, hold *hub.Subscription, rule channel.Rule) (settle func(begun bool), err error) {
	nothing := func(bool) {}
	if !rule.Presence {
		return nothing, nil
	}
	info, there := s.seen(hold)
	if !there {
		return nothing, ErrSubscriptionEnded
	}
	if settle, err = s.options.Presence.Join(ctx, hold.Channel(), info); err != nil {
		return nothing, err
	}
	if !s.appeared(hold) {
		err = ErrSubscriptionEnded
	}
	return settle, err
}

// deliver lets the publications of a channel come.
func (s *Session) deliver(ctx context.Context, hold *hub.Subscription, rule channel.Rule, w Subscription, told Subscribed, first func(Subscribed)) error {
	interest := hub.AttachOptions{
		Positioned: !w.Untold && (rule.Recovery || w.Positioned && rule.History.Size > 0), JoinLeave: rule.JoinLeave && w.JoinLeave, InPresence: rule.Presence, RequireComplete: w.Whole,
	}
	if w.Whole && w.Since != nil && !rule.Recovery {
		return ErrUnrecoverable
	}
	if !interest.Positioned {
		hold.Attach(w.Member, interest, func() { first(told) })
		return nil
	}
	told.Positioned = true
	since := w.Since
	if !rule.Recovery {
		since = nil
	}
	err := hold.AttachPositioned(ctx, w.Member, interest, since, func(j hub.AttachResult) {
		told.AttachResult = j
		first(told)
	})
	if errors.Is(err, hub.ErrUnrecoverable) {
		return ErrUnrecoverable
	}
	return err
}

// Renew takes a new token for a subscription. What it says of the client holds from then on.
func (s *Session) Renew(ctx context.Context, channel, token string, expired func(channel string)) (expiresAt time.Time, err error) {
	hold, _ := s.held(channel)
	if hold == nil {
		return time.Time{}, ErrNotSubscribed
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	ticket, err := s.options.Tokens.Subscription(ctx, token, s.User(), channel)
	if err != nil {
		return time.Time{}, tokenError(err)
	}
	if err := s.options.standing(ctx, ticket.User, ticket.IssuedAt); err != nil {
		return time.Time{}, err
	}
	at, ok := s.amend(hold, ticket)
	if !ok || !s.expireAt(hold, Subscription{ExpiresAt: at, Renewable: true, Expired: expired}) {
		return time.Time{}, ErrSubscriptionEnded
	}
	return at, nil
}

// CheckChannel refuses names that could not be logged, typed or stored.
func CheckChannel(name string) error {
	if !channel.ValidName(name) {
		return ErrChannelName
	}
	return nil
}
