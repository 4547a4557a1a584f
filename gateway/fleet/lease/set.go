// Package lease keeps a list of names right in a directory that all gateways share: what is wanted is
// told in batches, one call after the other so that what came later is what holds, and told again
// before the directory forgets it.
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

// Times and bounds that nobody has had a reason to change.
const (
	// TTL is how long the directory keeps a name that nobody tells it again, unless an option says it.
	TTL         = time.Minute
	renewals    = 3
	atOnce      = 256
	callTimeout = 5 * time.Second
	retryPause  = time.Second
)

// Options are what a Roster is made of.
type Options struct {
	// Hold tells the directory names for TTL, LetGo takes them back.
	Hold, LetGo func(ctx context.Context, names []string) error
	// TTL replaces the constant of that name when it is not 0.
	TTL    time.Duration
	Logger *slog.Logger
}

// Roster is safe for use by many goroutines. Run it.
type Roster struct {
	options  Options
	warnings *ratelog.Limiter
	// wake holds one token at most: there is something to tell.
	wake chan struct{}

	// known is closed: what names have that the directory has.
	known chan struct{}

	mu     sync.Mutex
	wanted map[string]entry
	// dirty are names that the directory is to be told of, and whether it may have them already. stale are
	// those that it is to be told again: they come last, since somebody may be waiting for the others.
	dirty map[string]bool
	stale map[string]struct{}
	// idle, if it is there, is closed when there is nothing to tell.
	idle chan struct{}
}

// entry is a name that is wanted.
type entry struct {
	// held is closed once the directory has it.
	held chan struct{}
	// told: the directory may have it.
	told bool
}

// New returns an empty roster.
func New(o Options) *Roster {
	if o.TTL == 0 {
		o.TTL = TTL
	}
	r := &Roster{
		options: o, warnings: ratelog.New(o.Logger), wake: make(chan struct{}, 1), known: make(chan struct{}),
		wanted: map[string]entry{}, dirty: map[string]bool{}, stale: map[string]struct{}{},
	}
	close(r.known)
	return r
}

// Want adds a name. The channel is closed when the directory has it.
func (r *Roster) Want(name string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, wanted := r.wanted[name]
	if !wanted {
		e = entry{held: make(chan struct{}), told: r.dirty[name]}
		r.wanted[name] = e
		r.dirty[name] = e.told
		r.call()
	}
	return e.held
}

// Unwant takes a name back. The directory hears nothing of a name that it was never told.
func (r *Roster) Unwant(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwant(name)
	r.call()
}

// unwant is Unwant with the roster locked.
func (r *Roster) unwant(name string) {
	e, wanted := r.wanted[name]
	if !wanted {
		return
	}
	delete(r.wanted, name)
	delete(r.stale, name)
	if delete(r.dirty, name); e.told {
		r.dirty[name] = true
	}
}

// call wakes who tells; the roster is locked.
func (r *Roster) call() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run keeps the directory right until the context ends.
func (r *Roster) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.telling(ctx) })
	group.Go(func() error { return r.renewing(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (r *Roster) telling(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		}
		for hold, letGo := r.next(); len(hold)+len(letGo) > 0; hold, letGo = r.next() {
			if err := r.tell(ctx, hold, letGo); err != nil {
				r.warn(err)
				r.again(append(hold, letGo...))
				if err := sleep.For(ctx, retryPause); err != nil {
					return err
				}
			}
		}
	}
}

// next is what the directory is to be told next.
func (r *Roster) next() (hold, letGo []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.dirty {
		if len(hold)+len(letGo) == atOnce {
			return hold, letGo
		}
		delete(r.dirty, name)
		if e, wanted := r.wanted[name]; wanted {
			r.wanted[name] = entry{held: e.held, told: true}
			hold = append(hold, name)
		} else {
			letGo = append(letGo, name)
		}
	}
	for name := range r.stale {
		if len(hold)+len(letGo) == atOnce {
			return hold, letGo
		}
		delete(r.stale, name)
		hold = append(hold, name)
	}
	if len(hold)+len(letGo) == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
	return hold, letGo
}

// again has names told once more: what the directory has of them is not known.
func (r *Roster) again(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		r.dirty[name] = true
		if e, wanted := r.wanted[name]; wanted {
			r.wanted[name] = entry{held: e.held, told: true}
		}
	}
	r.call()
}

func (r *Roster) tell(ctx context.Context, hold, letGo []string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if len(letGo) > 0 {
		if err := r.options.LetGo(ctx, letGo); err != nil {
			return err
		}
	}
	if len(hold) > 0 {
		if err := r.options.Hold(ctx, hold); err != nil {
			return err
		}
	}
	r.confirm(hold)
	return nil
}

// Withdraw takes all names out of the directory and waits until it has been told, or until the context
// ends. What is wanted later is told again. It needs Run.
func (r *Roster) Withdraw(ctx context.Context) error {
	select {
	case <-r.withdraw():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// withdraw returns what is closed when all is told.
func (r *Roster) withdraw() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.wanted {
		r.unwant(name)
	}
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	r.call()
	return r.idle
}

// confirm lets go on who waits for the directory. What they wait for is the same for all names from then
// on, since there may be many.
func (r *Roster) confirm(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if e, wanted := r.wanted[name]; wanted && e.held != r.known {
			close(e.held)
			r.wanted[name] = entry{held: r.known, told: true}
		}
	}
}

// renewing tells the directory of all names again before it forgets them.
func (r *Roster) renewing(ctx context.Context) error {
	for {
		if err := sleep.For(ctx, r.options.TTL/renewals); err != nil {
			return err
		}
		r.mu.Lock()
		for name := range r.wanted {
			r.stale[name] = struct{}{}
		}
		r.call()
		r.mu.Unlock()
	}
}

func (r *Roster) warn(err error) {
	r.warnings.WarnError("the directory of gateways is behind: messages to users may miss them, "+
		"news of occupied channels may be late", err)
}
