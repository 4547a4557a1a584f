package redis

import (
	"fmt"
	"hash/fnv"
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
	if n.sharded {
		h := fnv.New32a()
		_, _ = h.Write([]byte(channel))
		part = int(h.Sum32() % parts)
	}
	return n.head(part) + "c:" + channel, part
}

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
