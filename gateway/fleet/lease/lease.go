// Package lease keeps registrations with a time to live in a directory that all gateways of a fleet share. The set
// sends what changed in batches, one call after another so that the latest change wins, and renews every registration
// before the directory drops it.
//
// Package registry uses it for the users that have connections on this gateway, and package occupancy for the channels
// that have subscribers here.
package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/internal/ratelog"
	"github.com/wsfleet/wsfleet/internal/sleep"
)

// TTL is the time to live of a registration that is not renewed, unless Options.TTL replaces it.
const TTL = time.Minute

const (
	// renewalsPerTTL is how often a registration is renewed within its time to live, so that some renewals may fail.
	renewalsPerTTL = 3
	// maxBatch is the maximum number of names in one round of calls to the directory.
	maxBatch    = 256
	callTimeout = 5 * time.Second
	retryDelay  = time.Second
)

// Options configure a Set.
type Options struct {
	// Register adds names to the directory, or renews them, for TTL.
	Register func(ctx context.Context, names []string) error
	// Deregister removes names from the directory.
	Deregister func(ctx context.Context, names []string) error
	// TTL replaces the constant TTL when it is not 0.
	TTL    time.Duration
	Logger *slog.Logger
}

// Set is a lease set: the names that the directory should have registered for this gateway. Run must be running for
// the directory to follow. A Set is safe for use by many goroutines.
type Set struct {
	options  Options
	warnings *ratelog.Limiter
	// wake holds at most one token, which means that there are changes to send.
	wake chan struct{}
	// registered is closed. All registrations that the directory has confirmed share it.
	registered chan struct{}

	// mu guards the fields below.
	mu sync.Mutex
	// desired are the names that the directory should have.
	desired map[string]registration
	// changed are the names to register or deregister. The value is true when the directory may have the name already.
	changed map[string]bool
	// expiring are the names to renew. They are sent after changed, because callers may be waiting for those.
	expiring map[string]struct{}
	// idle, if not nil, is closed as soon as there is nothing to send.
	idle chan struct{}
}

// registration is the state of a desired name.
type registration struct {
	// confirmed is closed once the directory has the name.
	confirmed chan struct{}
	// sent reports whether the directory may have the name.
	sent bool
}

// New returns an empty Set.
func New(o Options) *Set {
	if o.TTL == 0 {
		o.TTL = TTL
	}
	s := &Set{
		options:    o,
		warnings:   ratelog.New(o.Logger),
		wake:       make(chan struct{}, 1),
		registered: make(chan struct{}),
		desired:    map[string]registration{},
		changed:    map[string]bool{},
		expiring:   map[string]struct{}{},
	}
	close(s.registered)
	return s
}

// Add adds name to the set. It returns a channel that is closed once the directory has registered the name. The channel
// stays open when the name is removed before that.
func (s *Set) Add(name string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, exists := s.desired[name]
	if !exists {
		r = registration{confirmed: make(chan struct{}), sent: s.changed[name]}
		s.desired[name] = r
		s.changed[name] = r.sent
		s.wakeSender()
	}
	return r.confirmed
}

// Remove removes name from the set. A name that was never sent to the directory causes no call.
func (s *Set) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(name)
	s.wakeSender()
}

// remove removes name without waking the sender. The caller holds mu.
func (s *Set) remove(name string) {
	r, exists := s.desired[name]
	if !exists {
		return
	}
	delete(s.desired, name)
	delete(s.expiring, name)
	delete(s.changed, name)
	if r.sent {
		s.changed[name] = true
	}
}

// wakeSender lets sendChanges look for changes. The caller holds mu.
func (s *Set) wakeSender() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run keeps the directory in step with the set. It blocks until ctx ends and returns nil.
func (s *Set) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.sendChanges(ctx) })
	group.Go(func() error { return s.renew(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// sendChanges sends what changed, and again after retryDelay what the directory did not take. It returns ctx.Err() once
// ctx ends.
func (s *Set) sendChanges(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
		}
		for add, remove := s.nextBatch(); len(add)+len(remove) > 0; add, remove = s.nextBatch() {
			if err := s.send(ctx, add, remove); err != nil {
				s.warnings.WarnError("the directory of gateways is behind: messages to users may miss them, "+
					"news of occupied channels may be late", err)
				s.requeue(append(add, remove...))
				if err := sleep.For(ctx, retryDelay); err != nil {
					return err
				}
			}
		}
	}
}

// nextBatch takes up to maxBatch names that are to be sent, changes before renewals.
func (s *Set) nextBatch() (add, remove []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.changed {
		if len(add)+len(remove) == maxBatch {
			return add, remove
		}
		delete(s.changed, name)
		if r, exists := s.desired[name]; exists {
			s.desired[name] = registration{confirmed: r.confirmed, sent: true}
			add = append(add, name)
		} else {
			remove = append(remove, name)
		}
	}
	for name := range s.expiring {
		if len(add)+len(remove) == maxBatch {
			return add, remove
		}
		delete(s.expiring, name)
		add = append(add, name)
	}
	if len(add)+len(remove) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	return add, remove
}

// requeue marks the names of a failed call as changed. The directory may have taken some of them.
func (s *Set) requeue(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.changed[name] = true
		if r, exists := s.desired[name]; exists {
			s.desired[name] = registration{confirmed: r.confirmed, sent: true}
		}
	}
	s.wakeSender()
}

// send makes the calls for one batch. It returns the error of the first call that fails; the directory may have taken a
// part of the batch then.
func (s *Set) send(ctx context.Context, add, remove []string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if len(remove) > 0 {
		if err := s.options.Deregister(ctx, remove); err != nil {
			return err
		}
	}
	if len(add) > 0 {
		if err := s.options.Register(ctx, add); err != nil {
			return err
		}
	}
	s.confirm(add)
	return nil
}

// Withdraw removes all names and blocks until the directory has removed them too. It returns ctx.Err() when ctx ends
// first. Names that are added later are registered again.
func (s *Set) Withdraw(ctx context.Context) error {
	select {
	case <-s.removeAll():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// removeAll removes all names. It returns a channel that is closed once everything has been sent.
func (s *Set) removeAll() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.desired {
		s.remove(name)
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	s.wakeSender()
	return s.idle
}

// confirm closes the channels of names that the directory has registered. From then on these names share one closed
// channel, because there may be many of them.
func (s *Set) confirm(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if r, exists := s.desired[name]; exists && r.confirmed != s.registered {
			close(r.confirmed)
			s.desired[name] = registration{confirmed: s.registered, sent: true}
		}
	}
}

// renew marks all names for renewal, renewalsPerTTL times within the TTL. It returns ctx.Err() once ctx ends.
func (s *Set) renew(ctx context.Context) error {
	for {
		if err := sleep.For(ctx, s.options.TTL/renewalsPerTTL); err != nil {
			return err
		}
		s.mu.Lock()
		for name := range s.desired {
			s.expiring[name] = struct{}{}
		}
		s.wakeSender()
		s.mu.Unlock()
	}
}
