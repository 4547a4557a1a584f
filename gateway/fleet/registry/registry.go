// Package registry holds the clients of this gateway by connection and by user, and registers these users in the
// fleet's directory, so that other gateways send commands for a user to the right gateways only.
//
// Package gateway adds and removes clients; package control finds the clients of a command here. The registrations are
// a lease.Set.
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

// deregisterDelay is how long a user stays registered after the last connection closed. A page that reloads is back
// within it, which saves two calls to the directory.
const deregisterDelay = 5 * time.Second

// ErrTooManyConnections is returned by Add when the user has MaxPerUser connections on this gateway, and none of them
// makes room.
var ErrTooManyConnections = errors.New("too many connections of one user")

// Options configure a Registry of clients of type C.
type Options[C any] struct {
	// Directory is where the fleet's gateways register their users.
	Directory broker.UserDirectory
	// MaxPerUser is the maximum number of connections of one user on this gateway. 0 means no limit.
	MaxPerUser int
	// Replace closes the oldest connection of a user that has one more than MaxPerUser. Add calls it after it has added
	// the new one. Nil: Add returns ErrTooManyConnections instead.
	Replace func(oldest C)
	// Replaceable reports whether Replace may close a client's connection now; while it may not, Add returns
	// ErrTooManyConnections. It is called with the registry's lock and must not block. Nil: it always may.
	Replaceable func(oldest C) bool
	// Timeout is how long Add waits for the directory. 0 means as long as its context.
	Timeout time.Duration
	Logger  *slog.Logger
}

// Registry holds clients of type C. Run must be running for the directory to follow. A Registry is safe for use by
// many goroutines.
type Registry[C any] struct {
	options Options[C]
	leases  *lease.Set

	// mu guards the fields below.
	mu      sync.Mutex
	clients map[uuid.UUID]*entry[C]
	users   map[string]*user[C]
	// leaving counts the users that have no connection and are still registered.
	leaving int
	// closed means that Run has returned: users that leave need no timer any more.
	closed bool
}

// entry is a connection in the linked list of its user. Most users have one connection, some have very many.
type entry[C any] struct {
	client C
	// user is nil for a connection without a user, and for one that was replaced.
	user           *user[C]
	previous, next *entry[C]
}

// user is a user with connections on this gateway, or one whose last connection closed less than deregisterDelay ago.
type user[C any] struct {
	name string
	// first is the newest connection, last the oldest.
	first, last *entry[C]
	count       int
	// deregister fires deregisterDelay after the last connection closed. It is nil as long as there are connections.
	deregister *time.Timer
}

// New returns an empty Registry.
func New[C any](o Options[C]) *Registry[C] {
	return &Registry[C]{
		options: o,
		clients: map[uuid.UUID]*entry[C]{},
		users:   map[string]*user[C]{},
		leases: lease.New(lease.Options{
			Register: func(ctx context.Context, users []string) error {
				return o.Directory.Register(ctx, users, lease.TTL)
			},
			Deregister: o.Directory.Deregister,
			Logger:     o.Logger,
		}),
	}
}

// Run keeps the directory in step with the users. It blocks until ctx ends and returns nil.
func (r *Registry[C]) Run(ctx context.Context) error {
	err := r.leases.Run(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, u := range r.users {
		if u.deregister != nil {
			u.deregister.Stop()
		}
	}
	return err
}

// Withdraw removes all users of this gateway from the directory and blocks until that is done. It returns ctx.Err()
// when ctx ends first.
func (r *Registry[C]) Withdraw(ctx context.Context) error { return r.leases.Withdraw(ctx) }

// Add adds the client c with its connection's id and the name of its user, which may be empty. For a client with a user
// it blocks until the directory has registered the user, so that every later command for the user reaches the client.
// When the user has more than MaxPerUser connections then, Add calls Options.Replace for the oldest. It returns
// ErrTooManyConnections as Check does, and broker.ErrUnavailable when the directory has not answered within
// Options.Timeout or when ctx ends. After a nil error the caller must call Remove.
func (r *Registry[C]) Add(ctx context.Context, id uuid.UUID, name string, c C) error {
	registered, err := r.add(id, name, c)
	if err != nil || registered == nil {
		return err
	}
	if timeout := r.options.Timeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	select {
	case <-registered:
		if oldest, over := r.takeOldest(name); over {
			r.options.Replace(oldest)
		}
		return nil
	case <-ctx.Done():
		r.Remove(id)
		return broker.ErrUnavailable
	}
}

// Check returns ErrTooManyConnections when the user has MaxPerUser connections and Replace may close none of them, and
// nil otherwise. Another client may change that before Add is called.
func (r *Registry[C]) Check(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.check(r.users[name])
}

// check is Check for a user, which may be nil. The caller holds mu.
func (r *Registry[C]) check(u *user[C]) error {
	o := &r.options
	switch {
	case u == nil, o.MaxPerUser == 0, u.count < o.MaxPerUser:
		return nil
	case o.Replace != nil && (o.Replaceable == nil || o.Replaceable(u.last.client)):
		return nil
	}
	return ErrTooManyConnections
}

// takeOldest takes the oldest connection of a user with more than MaxPerUser out of the user's list. It reports false
// when the user has no more than that. Each Add takes one at most, so that one that fails costs no connection.
func (r *Registry[C]) takeOldest(name string) (oldest C, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.users[name]
	if u == nil || r.options.MaxPerUser == 0 || u.count <= r.options.MaxPerUser {
		return oldest, false
	}
	e := u.last
	u.remove(e)
	e.user = nil
	return e.client, true
}

// add adds a client without waiting. The channel that it returns is closed once the user is registered; it is nil for a
// client without a user.
func (r *Registry[C]) add(id uuid.UUID, name string, c C) (registered <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &entry[C]{client: c}
	if name == "" {
		r.clients[id] = e
		return nil, nil
	}
	u := r.users[name]
	if err := r.check(u); err != nil {
		return nil, err
	}
	switch {
	case u == nil:
		u = &user[C]{name: name}
		r.users[name] = u
	case u.deregister != nil:
		u.deregister.Stop()
		u.deregister = nil
		r.leaving--
	}
	r.clients[id] = e
	u.add(e)
	// This happens under mu, so that additions and removals reach the lease set in the order in which they happen here.
	return r.leases.Add(name), nil
}

// Remove removes the client of a connection. It does nothing for an id that was not added.
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
	r.leaving++
	u.deregister = time.AfterFunc(deregisterDelay, func() { r.deregister(u) })
	if r.closed {
		u.deregister.Stop()
	}
}

// deregister removes a user from the directory, unless the user has a connection again.
func (r *Registry[C]) deregister(u *user[C]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users[u.name] == u && u.count == 0 {
		delete(r.users, u.name)
		r.leaving--
		r.leases.Remove(u.name)
	}
}

// add puts e at the front of the list.
func (u *user[C]) add(e *entry[C]) {
	e.user, e.next = u, u.first
	if u.first != nil {
		u.first.previous = e
	} else {
		u.last = e
	}
	u.first = e
	u.count++
}

// remove takes e out of the list.
func (u *user[C]) remove(e *entry[C]) {
	if e.previous != nil {
		e.previous.next = e.next
	} else {
		u.first = e.next
	}
	if e.next != nil {
		e.next.previous = e.previous
	} else {
		u.last = e.previous
	}
	e.previous, e.next = nil, nil
	u.count--
}

// Client returns the client of a connection, and false when this gateway has no such connection.
func (r *Registry[C]) Client(id uuid.UUID) (c C, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.clients[id]
	if !ok {
		return c, false
	}
	return e.client, true
}

// ByUser returns the user's clients on this gateway, the newest first.
func (r *Registry[C]) ByUser(name string) []C {
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

// All returns all clients of this gateway in no particular order.
func (r *Registry[C]) All() []C {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]C, 0, len(r.clients))
	for _, e := range r.clients {
		out = append(out, e.client)
	}
	return out
}

// Count returns the number of clients on this gateway and the number of different users among them.
func (r *Registry[C]) Count() (clients, users int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients), len(r.users) - r.leaving
}
