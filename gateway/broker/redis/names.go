package redis

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// parts is how many connections a gateway holds to a Redis Cluster for subscriptions. Each part is
// one hash tag, hence one slot, hence on one node at a time, which is what sharded Pub/Sub needs.
const parts = 16

// names are what channels are called in Redis. All gateways of a cluster must agree on them.
type names struct {
	prefix  string
	sharded bool
}

func (n names) parts() int {
	if n.sharded {
		return parts
	}
	return 1
}

// channel is a channel's name in Redis and the part it belongs to.
func (n names) channel(channel string) (key string, part int) {
	part = n.part(channel)
	return n.head(part) + "c:" + channel, part
}

// inbox is where a gateway hears what it is told.
func (n names) inbox(instance string) (key string, part int) {
	part = n.part(instance)
	return n.head(part) + "n:" + instance, part
}

// part is where all belongs that is known of a channel, a user or a gateway.
func (n names) part(name string) int {
	if !n.sharded {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() % parts)
}

// stream is where a channel's publications are, and its epoch and top offset.
func (n names) stream(channel string) (publications, position string) {
	head := n.head(n.part(channel))
	return head + "s:" + channel, head + "t:" + channel
}

// idempotency is where the first result of a publication is. The length keeps channel and key apart.
func (n names) idempotency(channel, key string) string {
	return n.head(n.part(channel)) + "i:" + strconv.Itoa(len(channel)) + ":" + channel + ":" + key
}

// presence is where a channel's members are, until when, their users, and who of them is away.
func (n names) presence(channel string) []string {
	head := n.head(n.part(channel))
	return []string{head + "pm:" + channel, head + "pt:" + channel, head + "pu:" + channel, head + "pa:" + channel}
}

// gateways is where gateways say what they are, and until when.
func (n names) gateways() []string {
	head := n.head(0)
	return []string{head + "ga", head + "gt"}
}

// holders is where the gateways are that hold a user.
func (n names) holders(user string) string { return n.head(n.part(user)) + "u:" + user }

// holderSets are the keys of scripts about holders.
func (n names) holderSets(users []string) []string {
	keys := make([]string, 0, len(users))
	for _, user := range users {
		keys = append(keys, n.holders(user))
	}
	return keys
}

// occupants is where the gateways are that have subscribers of a channel.
func (n names) occupants(channel string) string { return n.occupied(n.part(channel)) + ":" + channel }

// occupied is where a part's channels are that have occupants, by when the last of these is over.
func (n names) occupied(part int) string { return n.head(part) + "o" }

// watched is since when gateways have asked for what is over in there. It is gone when nobody did for a
// while.
func (n names) watched(part int) string { return n.head(part) + "w" }

// occupantSets are the keys of scripts about occupants, as scripts/occupied.lua wants them. All channels
// are of one part.
func (n names) occupantSets(channels []string) []string {
	keys := make([]string, 0, 1+len(channels))
	keys = append(keys, n.occupied(n.part(channels[0])))
	for _, channel := range channels {
		keys = append(keys, n.occupants(channel))
	}
	return keys
}

// revoked is where a user's revocation is.
func (n names) revoked(user string) string { return n.head(n.part(user)) + "r:" + user }

// probe is the name of a gateway's own messages to itself.
func (n names) probe(part int, instance string) string {
	return n.head(part) + "p:" + instance
}

// channelOf undoes channel.
func (n names) channelOf(key string) (string, bool) {
	if n.sharded {
		_, rest, found := strings.Cut(key, "}")
		if !found {
			return "", false
		}
		key = rest
	}
	return strings.CutPrefix(key, n.prefix+"c:")
}

// head begins a name. The hash tag comes first: Redis takes the first one, and a prefix may hold
// braces of its own.
func (n names) head(part int) string {
	if n.sharded {
		return fmt.Sprintf("{%02d}%s", part, n.prefix)
	}
	return n.prefix
}
