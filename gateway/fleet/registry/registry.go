// Package registry knows the clients of this gateway by connection and by user, and keeps the fleet's
// directory of which gateways hold which users: messages to a user go to these gateways only.
package registry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/lease"
)

// linger is how long a gateway holds a user after its last connection: pages that reload come back.
const linger = 5 * time.Second

// ErrTooMany is a user with as many connections as one may have here.
var ErrTooMany = errors.New("too many connections of one user")

// Options are what a Registry is made of.
type Options struct {
	Directory broker.Directory
	// MaxPerUser bounds the connections of one user on this gateway; 0 is no bound.
	MaxPerUser int
	// Patience bounds how long Add waits for the directory; 0: as long as its context.
	Patience time.Duration
	Logger   *slog.Logger
}

// Registry is safe for use by many goroutines. Run it. C is what a client is to whoever asks.
type Registry[C any] struct {
	options Options
	roster  *lease.Roster

	mu      sync.Mutex
	clients map[uuid.UUID]*entry[C]
	users   map[string]*user[C]
	// lingering counts users without connections.
	lingering int
	// closed: who leaves needs no linger any more.
	closed bool
}

// entry is a connection, in a list of its user's: most users have one, some have very many.
type entry[C any] struct {
	client         C
	user           *user[C]
	previous, next *entry[C]
}

// user is somebody with connections here, or who had some a moment ago.
type user[C any] struct {
	name  string
	first *entry[C]
	count int
	// leaving ends the linger.
	leaving *time.Timer
}

// New returns an empty registry.
func New[C any](o Options) *Registry[C] {
	return &Registry[C]{
		options: o, clients: map[uuid.UUID]*entry[C]{}, users: map[string]*user[C]{},
		roster: lease.New(lease.Options{
			Hold:   func(ctx context.Context, users []string) error { return o.Directory.Register(ctx, users, lease.TTL) },
			LetGo:  o.Directory.Deregister,
			Logger: o.Logger,
		}),
	}
}

// Run keeps the directory right until the context ends.
func (r *Registry[C]) Run(ctx context.Context) error {
	err := r.roster.Run(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, u := range r.users {
		if u.leaving != nil {
			u.leaving.Stop()
		}
	}
	return err
}

// Withdraw takes all users of this gateway out of the directory.
func (r *Registry[C]) Withdraw(ctx context.Context) error { return r.roster.Withdraw(ctx) }

// Add takes a connection in. With a user, it returns when the directory knows: whatever is sent to the
// user from then on finds it. Remove it, unless there was an error.
func (r *Registry[C]) Add(ctx context.Context, id uuid.UUID, name string, c C) error {
	held, err := r.add(id, name, c)
	if err != nil || held == nil {
		return err
	}
	if p := r.options.Patience; p > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p)
		defer cancel()
	}
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		r.Remove(id)
		return broker.ErrUnavailable
	}
}

func (r *Registry[C]) add(id uuid.UUID, name string, c C) (held <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &entry[C]{client: c}
	if name == "" {
		r.clients[id] = e
		return nil, nil
	}
	u := r.users[name]
	switch {
	case u == nil:
		u = &user[C]{name: name}
		r.users[name] = u
	case r.options.MaxPerUser > 0 && u.count >= r.options.MaxPerUser:
		return nil, ErrTooMany
	case u.leaving != nil:
		u.leaving.Stop()
		u.leaving = nil
		r.lingering--
	}
	r.clients[id] = e
	u.add(e)
	// Under the lock, so that the roster sees who comes and goes in the order of the decisions.
	return r.roster.Want(name), nil
}

// Remove lets a connection go.
func (r *Registry[C]) Remove(id uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.clients[id]
	if e == nil {
		return
	}
	delete(r.clients, id)
	u := e.user
	if u == nil {
		return
	}
	if u.remove(e); u.count > 0 {
		return
	}
	r.lingering++
	u.leaving = time.AfterFunc(linger, func() { r.forget(u) })
	if r.closed {
		u.leaving.Stop()
	}
}

// forget ends a user's linger, unless there is a connection again.
func (r *Registry[C]) forget(u *user[C]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users[u.name] == u && u.count == 0 {
		delete(r.users, u.name)
		r.lingering--
		r.roster.Unwant(u.name)
	}
}

func (u *user[C]) add(e *entry[C]) {
	e.user, e.next = u, u.first
	if u.first != nil {
		u.first.previous = e
	}
	u.first = e
	u.count++
}

func (u *user[C]) remove(e *entry[C]) {
	if e.previous != nil {
		e.previous.next = e.next
	} else {
		u.first = e.next
	}
	if e.next != nil {
		e.next.previous = e.previous
	}
	u.count--
}

// Client is a connection of this gateway.
func (r *Registry[C]) Client(id uuid.UUID) (c C, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.clients[id]
	if !ok {
		return c, false
	}
	return e.client, true
}

// Of are a user's connections here.
func (r *Registry[C]) Of(name string) []C {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.users[name]
	if u == nil {
		return nil
	}
	out := make([]C, 0, u.count)
	for e := u.first; e != nil; e = e.next {
		out = append(out, e.client)
	}
	return out
}

// All are the connections of this gateway.
func (r *Registry[C]) All() []C {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]C, 0, len(r.clients))
	for _, e := range r.clients {
		out = append(out, e.client)
	}
	return out
}

// Count is how many clients, and users of theirs, there are.
func (r *Registry[C]) Count() (clients, users int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients), len(r.users) - r.lingering
}
