package load

import "strconv"

// plan says who is who: the same in every process, from nothing but the options. Clients are numbered
// from 0. The publishers of a fanout, and of a storm, come before the clients that listen, also in time: a
// server that is full shall not lack them.
type plan struct {
	// total is how many connections there are, extra how many of them do nothing but publish.
	total, extra        int
	channels, processes int
	prefix              string
	everyonePublishes   bool
}

func newPlan(o *Options, processes int) plan {
	p := plan{channels: o.Channels, processes: processes, prefix: o.ChannelPrefix}
	switch o.Scenario {
	case Fanout, Ramp:
		p.extra = o.Channels
	case Chat, Direct:
		p.everyonePublishes = true
	case Storm:
		if o.Recover {
			p.extra = o.Channels
		}
	case Idle:
	}
	p.total = o.Clients + p.extra
	return p
}

// everyone is all connections.
func (p plan) everyone() Range { return Range{0, p.total} }

// listeners are those that are not there to publish.
func (p plan) listeners() Range { return Range{p.extra, p.total} }

// process is the worker that a client lives in.
func (p plan) process(client int) int { return client % p.processes }

func (p plan) channel(client int) int { return client % p.channels }

func (p plan) channelName(channel int) string { return p.prefix + strconv.Itoa(channel) }

func (p plan) publishes(client int) bool { return p.everyonePublishes || client < p.extra }

// slots is how many publishers a channel has at most.
func (p plan) slots() int {
	if p.everyonePublishes {
		return (p.total + p.channels - 1) / p.channels
	}
	return 1
}

// slot is a publisher's place among those of its channel.
func (p plan) slot(publisher int) int { return publisher / p.channels }

// publishers is how many of a process's clients publish.
func (p plan) publishers(process int) int {
	n := 0
	for c := process; c < p.total && p.publishes(c); c += p.processes {
		n++
	}
	return n
}
