package redis

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// parts is the number of Pub/Sub connections of a gateway to a Redis Cluster. Each part is one hash tag, and so one
// slot, which is on one node at a time: sharded Pub/Sub needs that.
const parts = 16

// names returns the names of keys and channels in Redis. They are the same in all gateways of a fleet.
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

// channel returns a channel's name in Redis and its part.
func (n names) channel(channel string) (key string, part int) {
	part = n.part(channel)
	return n.head(part) + "c:" + channel, part
}

// inbox returns the name on which a gateway gets messages, and its part.
func (n names) inbox(instance string) (key string, part int) {
	part = n.part(instance)
	return n.head(part) + "n:" + instance, part
}

// part returns the part of a channel, a user or a gateway.
func (n names) part(name string) int {
	if !n.sharded {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() % parts)
}

// stream returns the keys of a channel's publications and of its position.
func (n names) stream(channel string) (publications, position string) {
	head := n.head(n.part(channel))
	return head + "s:" + channel, head + "t:" + channel
}

// idempotency returns the key of the result of a publication. The length separates channel and idempotency key.
func (n names) idempotency(channel, key string) string {
	return n.head(n.part(channel)) + "i:" + strconv.Itoa(len(channel)) + ":" + channel + ":" + key
}

// presence returns the keys of a channel's members, in the order of scripts/presence.lua.
func (n names) presence(channel string) []string {
	head := n.head(n.part(channel))
	return []string{head + "pm:" + channel, head + "pt:" + channel, head + "pu:" + channel, head + "pa:" + channel}
}

// gateways returns the keys of the list of gateways, in the order of scripts/announce.lua.
func (n names) gateways() []string {
	head := n.head(0)
	return []string{head + "ga", head + "gt"}
}

// userGateways returns the key of the gateways that have connections of a user.
func (n names) userGateways(user string) string { return n.head(n.part(user)) + "u:" + user }

// userGatewaySets returns the keys of userGateways for several users.
func (n names) userGatewaySets(users []string) []string {
	keys := make([]string, 0, len(users))
	for _, user := range users {
		keys = append(keys, n.userGateways(user))
	}
	return keys
}

// occupants returns the key of the gateways that have subscribers of a channel.
func (n names) occupants(channel string) string { return n.occupied(n.part(channel)) + ":" + channel }

// occupied returns the key of a part's occupied channels.
func (n names) occupied(part int) string { return n.head(part) + "o" }

// expiryWatch returns the key that has since when gateways look for expired channels of a part.
func (n names) expiryWatch(part int) string { return n.head(part) + "w" }

// occupantSets returns the keys of scripts/occupied.lua for channels of one part.
func (n names) occupantSets(channels []string) []string {
	keys := make([]string, 0, 1+len(channels))
	keys = append(keys, n.occupied(n.part(channels[0])))
	for _, channel := range channels {
		keys = append(keys, n.occupants(channel))
	}
	return keys
}

// revoked returns the key of a user's revocation.
func (n names) revoked(user string) string { return n.head(n.part(user)) + "r:" + user }

// probe returns the name on which a gateway gets its own probes.
func (n names) probe(part int, instance string) string {
	return n.head(part) + "p:" + instance
}

// channelOf returns the channel of a name that channel returned; false for other names.
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

// head returns the beginning of all names of a part. The hash tag comes first: Redis uses the first one, and a prefix
// may contain braces.
func (n names) head(part int) string {
	if n.sharded {
		return fmt.Sprintf("{%02d}%s", part, n.prefix)
	}
	return n.prefix
}
