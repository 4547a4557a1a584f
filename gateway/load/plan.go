package load

import "strconv"

// plan says who is who: the same in every process, from nothing but the options. Clients are numbered
// from 0; the further publishers of a fanout come after them.
type plan struct {
	clients, channels, processes int
	prefix                       string
	everyonePublishes            bool
	extra                        int
}

func newPlan(o *Options, processes int) plan {
	p := plan{clients: o.Clients, channels: o.Channels, processes: processes, prefix: o.ChannelPrefix}
	switch o.Scenario {
	case Fanout, Ramp:
		p.extra = o.Channels
	case Chat, Direct:
		p.everyonePublishes = true
	case Idle, Storm:
	}
	return p
}

// total is how many connections there are.
func (p plan) total() int { return p.clients + p.extra }

// process is the worker that a client lives in.
func (p plan) process(client int) int { return client % p.processes }

func (p plan) channel(client int) int {
	if client >= p.clients {
		return client - p.clients
	}
	return client % p.channels
}

func (p plan) channelName(channel int) string { return p.prefix + strconv.Itoa(channel) }

func (p plan) publishes(client int) bool { return p.everyonePublishes || client >= p.clients }

// slots is how many publishers a channel has at most.
func (p plan) slots() int {
	if p.everyonePublishes {
		return (p.clients + p.channels - 1) / p.channels
	}
	return 1
}

// slot is a publisher's place among those of its channel.
func (p plan) slot(publisher int) int {
	if publisher >= p.clients {
		return 0
	}
	return publisher / p.channels
}

// publishers is how many of a process's clients publish.
func (p plan) publishers(process int) int {
	first := p.clients
	if p.everyonePublishes {
		first = 0
	}
	n := 0
	for c := first; c < p.total(); c++ {
		if p.process(c) == process {
			n++
		}
	}
	return n
}
