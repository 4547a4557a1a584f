package memory

import (
	"container/heap"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// mostGone bounds how many members one call takes out.
const mostGone = 512

// room is who is in one channel.
type room struct {
	members map[string]*member
	users   map[string]*user
	// queue has first whose time is over first.
	queue queue
}

// member is there until a time on the broker's clock. There are many, so they are kept small.
type member struct {
	info  broker.ClientInfo
	until time.Duration
	// place is where the queue has it.
	place int32
	// away has left, and is waited for.
	away bool
}

// user is what a room knows of one user, or of all clients without one. It has a list of those who are
// away while there are any.
type user struct {
	clients int
	away    map[string]*member
}

// wait notes that a member is away.
func (u *user) wait(m *member) {
	if u.away == nil {
		u.away = map[string]*member{}
	}
	u.away[m.info.Client] = m
}

func newRoom() *room { return &room{members: map[string]*member{}, users: map[string]*user{}} }

// join adds a member or renews it.
func (r *room) join(info broker.ClientInfo, now time.Duration, ttl time.Duration) (fresh bool, gone []broker.ClientInfo) {
	info.ConnInfo, info.ChanInfo = slices.Clone(info.ConnInfo), slices.Clone(info.ChanInfo)
	known := r.members[info.Client]
	if known != nil {
		// Also when its time was over: nobody has been told yet. Its user could be another one now.
		r.remove(known)
	}
	gone = r.purge(now)
	fresh = known == nil
	if known == nil {
		if away := r.awaited(info.User, now); away != nil {
			r.remove(away)
			fresh = false
		}
	}
	r.add(&member{info: info, until: now + ttl})
	return fresh, gone
}

// leave takes a member out, or lets it be away for a while.
func (r *room) leave(client string, now time.Duration, grace time.Duration) (left bool, gone []broker.ClientInfo) {
	if m := r.members[client]; m != nil {
		left = grace <= 0 || m.info.User == ""
		if left {
			r.remove(m)
		} else {
			m.away = true
			r.users[m.info.User].wait(m)
			r.renew(m, now+grace)
		}
	}
	return left, r.purge(now)
}

func (r *room) renew(m *member, until time.Duration) {
	m.until = until
	heap.Fix(&r.queue, int(m.place))
}

// awaited is a member of the user that is away: the one that has the least time left.
func (r *room) awaited(name string, now time.Duration) (found *member) {
	u := r.users[name]
	if u == nil {
		return nil
	}
	for _, m := range u.away {
		if m.until > now && (found == nil || m.until < found.until) {
			found = m
		}
	}
	return found
}

// purge takes out whose time is over.
func (r *room) purge(now time.Duration) (gone []broker.ClientInfo) {
	for len(r.queue) > 0 && len(gone) < mostGone && r.queue[0].until <= now {
		m := r.queue[0]
		r.remove(m)
		gone = append(gone, m.info)
	}
	return gone
}

func (r *room) add(m *member) {
	r.members[m.info.Client] = m
	heap.Push(&r.queue, m)
	u := r.users[m.info.User]
	if u == nil {
		u = &user{}
		r.users[m.info.User] = u
	}
	u.clients++
}

func (r *room) remove(m *member) {
	delete(r.members, m.info.Client)
	heap.Remove(&r.queue, int(m.place))
	u := r.users[m.info.User]
	delete(u.away, m.info.Client)
	if u.clients--; u.clients == 0 {
		delete(r.users, m.info.User)
	}
}

// all leaves out whose time is over, and names nobody when they take more than so many bytes.
func (r *room) all(now time.Duration, bytes int) (map[string]broker.ClientInfo, error) {
	out, size := map[string]broker.ClientInfo{}, 0
	for client, m := range r.members {
		if m.until <= now {
			continue
		}
		if size += broker.SizeOfMember(m.info); bytes > 0 && size > bytes {
			return nil, broker.ErrTooLarge
		}
		out[client] = m.info
	}
	return out, nil
}

// count leaves out whose time is over, and looks at nobody else.
func (r *room) count(now time.Duration) (clients, users int) {
	clients, users = len(r.members), len(r.users)
	over := map[string]int{}
	for m := range r.queue.over(now) {
		clients--
		if over[m.info.User]++; over[m.info.User] == r.users[m.info.User].clients {
			users--
		}
	}
	return clients, users
}
