package load

import (
	"bytes"
	"strconv"
)

// plan maps clients to channels, workers and roles. It follows from the options alone, so it is the same in every
// process. Clients are numbered from 0. The publishers of a fanout or a storm have the lowest numbers and connect
// first, so that a server that becomes full has them.
type plan struct {
	// total is the number of connections.
	total int
	// extra is the number of connections besides the clients; they publish.
	extra               int
	channels, processes int
	// subscriptions is the number of channels that a client subscribes to: its own and those behind it.
	subscriptions int
	prefix        string
	// allPublish is set when every client publishes.
	allPublish bool
	// groups are the clients of each group of live. The publishers of live are in none.
	groups []Range
}

func newPlan(o *Options, processes int) plan {
	p := plan{channels: o.Channels, processes: processes, subscriptions: o.Subscriptions, prefix: o.ChannelPrefix}
	switch o.Scenario {
	case Fanout, Ramp:
		p.extra = o.Channels
	case Chat, Direct:
		p.allPublish = true
	case Storm:
		if o.Recover {
			p.extra = o.Channels
		}
	case Live:
		p.extra = o.Channels
		p.groups = groupRanges(o.Channels, o.Groups)
	case Idle:
	}
	p.total = o.Clients + p.extra
	return p
}

// allClients returns the range of all connections.
func (p plan) allClients() Range { return Range{0, p.total} }

// listeners returns the range of the connections that are not extra publishers.
func (p plan) listeners() Range { return Range{p.extra, p.total} }

// group returns the index of the group that a client belongs to, and -1 when it is in none.
func (p plan) group(client int) int {
	for i, g := range p.groups {
		if g.From <= client && client < g.To {
			return i
		}
	}
	return -1
}

// counts reports whether deliveries to a client count. The publishers of live are no clients whose loss matters.
func (p plan) counts(client int) bool { return len(p.groups) == 0 || client >= p.extra }

// process returns the index of the worker that a client lives in.
func (p plan) process(client int) int { return client % p.processes }

// channel returns the channel that a client publishes to, the first of those that it subscribes to.
func (p plan) channel(client int) int { return client % p.channels }

func (p plan) channelName(channel int) string { return p.prefix + strconv.Itoa(channel) }

// subscribed returns the channels that a client subscribes to, in the order of its subscriptions.
func (p plan) subscribed(client int) []int {
	channels := make([]int, p.subscriptions)
	for i := range channels {
		channels[i] = (p.channel(client) + i) % p.channels
	}
	return channels
}

// channelNames returns the names of the channels that a client subscribes to.
func (p plan) channelNames(client int) []string {
	names := make([]string, p.subscriptions)
	for i, channel := range p.subscribed(client) {
		names[i] = p.channelName(channel)
	}
	return names
}

// subscription returns the index of a client's subscription to a channel, and false when it has none.
func (p plan) subscription(client, channel int) (index int, found bool) {
	index = (channel - p.channel(client) + p.channels) % p.channels
	return index, index < p.subscriptions
}

// subscriptionOf returns the index of a client's subscription to the channel with a name, and false when it has none.
func (p plan) subscriptionOf(client int, name []byte) (index int, found bool) {
	digits, ours := bytes.CutPrefix(name, []byte(p.prefix))
	channel, err := strconv.Atoi(string(digits))
	if !ours || err != nil || channel < 0 || channel >= p.channels {
		return 0, false
	}
	return p.subscription(client, channel)
}

func (p plan) publishes(client int) bool { return p.allPublish || client < p.extra }

// publisherSlots returns the maximum number of publishers of one channel.
func (p plan) publisherSlots() int {
	if p.allPublish {
		return (p.total + p.channels - 1) / p.channels
	}
	return 1
}

// publisherSlot returns a publisher's index among the publishers of its channel.
func (p plan) publisherSlot(publisher int) int { return publisher / p.channels }

// publishers returns the number of a process's clients that publish.
func (p plan) publishers(process int) int {
	n := 0
	for c := process; c < p.total && p.publishes(c); c += p.processes {
		n++
	}
	return n
}
