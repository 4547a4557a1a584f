package memory

import (
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// maxExpired is the maximum number of expired members that one call removes.
const maxExpired = 512

// channelPresence keeps the members of one channel.
type channelPresence struct {
	members map[string]*member
	users   map[string]*user
	// queue says when members expire.
	queue queue
}

// member expires at a time that is in the queue. There are many members, so the type is small.
type member struct {
	info broker.ClientInfo
	// index is the member's index in the queue.
	index int32
	// away reports that the member has left and that its grace is not over.
	away bool
}

// user keeps the clients of one user, or of all clients without a user.
type user struct {
	clients int
	// away are the members that have left and whose grace is not over. It is nil without any.
	away map[string]*member
}

// wait adds a member to away.
func (u *user) wait(m *member) {
	if u.away == nil {
		u.away = map[string]*member{}
	}
	u.away[m.info.Client] = m
}

func newChannelPresence() *channelPresence {
	return &channelPresence{members: map[string]*member{}, users: map[string]*user{}}
}

// join adds a member or renews it. A new one takes the place of a member of its user that is away, which expires.
func (p *channelPresence) join(info broker.ClientInfo, now time.Duration,
	ttl time.Duration) (joined broker.Joined) {
	info.ConnInfo, info.ChanInfo = slices.Clone(info.ConnInfo), slices.Clone(info.ChanInfo)
	known := p.members[info.Client]
	if known != nil {
		// Even if it has expired: its leave has not been published. Its user may be another one now.
		p.remove(known)
	}
	switch {
	case known != nil:
	case p.endGrace(info.User, now):
		joined = broker.JoinReplaced
	default:
		joined = broker.JoinAdded
	}
	p.add(&member{info: info}, now+ttl)
	return joined
}

// leave removes a member, or lets it be away for the grace.
func (p *channelPresence) leave(
	client string, now time.Duration, grace time.Duration,
) (left bool, gone []broker.ClientInfo) {
	if m := p.members[client]; m != nil {
		left = grace <= 0 || m.info.User == ""
		if left {
			p.remove(m)
		} else {
			m.away = true
			p.users[m.info.User].wait(m)
			p.renew(m, now+grace)
		}
	}
	return left, p.purge(now)
}

func (p *channelPresence) renew(m *member, until time.Duration) {
	p.queue.set(int(m.index), until)
}

// until returns when a member expires.
func (p *channelPresence) until(m *member) time.Duration { return p.queue[m.index].until }

// endGrace makes the member of a user that is away and expires first expire now. It reports whether a member of the
// user is away and has expired.
func (p *channelPresence) endGrace(name string, now time.Duration) (expired bool) {
	u := p.users[name]
	if u == nil {
		return false
	}
	var first *member
	for _, m := range u.away {
		if p.until(m) > now && (first == nil || p.until(m) < p.until(first)) {
			first = m
		}
	}
	if first != nil {
		p.renew(first, now)
	}
	return len(u.away) > 0
}

// purge removes up to maxExpired members that have expired, and returns them.
func (p *channelPresence) purge(now time.Duration) (gone []broker.ClientInfo) {
	for len(p.queue) > 0 && len(gone) < maxExpired && p.queue[0].until <= now {
		m := p.queue[0].member
		p.remove(m)
		gone = append(gone, m.info)
	}
	return gone
}

func (p *channelPresence) add(m *member, until time.Duration) {
	p.members[m.info.Client] = m
	p.queue.push(m, until)
	u := p.users[m.info.User]
	if u == nil {
		u = &user{}
		p.users[m.info.User] = u
	}
	u.clients++
}

func (p *channelPresence) remove(m *member) {
	delete(p.members, m.info.Client)
	p.queue.remove(int(m.index))
	u := p.users[m.info.User]
	delete(u.away, m.info.Client)
	if u.clients--; u.clients == 0 {
		delete(p.users, m.info.User)
	}
}

// all returns the members that have not expired, or ErrTooLarge when they take more than bytes; 0 is no bound.
func (p *channelPresence) all(now time.Duration, bytes int) (map[string]broker.ClientInfo, error) {
	out, size := map[string]broker.ClientInfo{}, 0
	for client, m := range p.members {
		if p.until(m) <= now {
			continue
		}
		if size += broker.SizeOfMember(m.info); bytes > 0 && size > bytes {
			return nil, broker.ErrTooLarge
		}
		out[client] = m.info
	}
	return out, nil
}

// count returns the numbers of clients and users without expired members. It reads expired members only.
func (p *channelPresence) count(now time.Duration) (clients, users int) {
	clients, users = len(p.members), len(p.users)
	over := map[string]int{}
	for m := range p.queue.over(now) {
		clients--
		if over[m.info.User]++; over[m.info.User] == p.users[m.info.User].clients {
			users--
		}
	}
	return clients, users
}
