package load

import "slices"

// Numbers are numbers of messages, ascending, by their publisher.
type Numbers map[int][]uint32

// LossArgs say which messages count when missing ones are counted.
type LossArgs struct {
	// Ends are the last numbers of the publishers in each interval.
	Ends []map[int]uint32
	// Unaccepted are messages that the server did not acknowledge and no client received. They are not missing.
	Unaccepted Numbers
}

// LossReply is the outcome of Losses.
type LossReply struct {
	// Intervals are the losses in each interval, by the groups.
	Intervals [][]Loss
	// Pending is the number of messages that may still be on their way to a connected client.
	Pending int64
	// Clients are those whose messages did not all come once and in order, and those that do not come back.
	Clients []ClientResult
	// AwayAtEnd counts the clients that are away and may still come back, by the groups.
	AwayAtEnd []int64
}

// Loss counts the messages of an interval that clients did not receive.
type Loss struct {
	Missing int64
	// FalselyRecovered are those of them of which the server had said that they are not missing.
	FalselyRecovered int64
}

// BeginInterval begins an interval of the counts, and returns the last number of each publisher before it. It returns
// no error.
func (w *Worker) BeginInterval(none None, ends *map[int]uint32) error {
	w.population.mu.Lock()
	w.population.beginInterval()
	w.population.mu.Unlock()
	return w.LastNumbers(none, ends)
}

// LastNumbers returns the last number of each publisher. It returns no error.
func (w *Worker) LastNumbers(_ None, ends *map[int]uint32) error {
	w.population.mu.Lock()
	defer w.population.mu.Unlock()
	*ends = map[int]uint32{}
	for id, m := range w.population.members {
		if w.plan.publishes(id) {
			(*ends)[id] = m.number
		}
	}
	return nil
}

// Counts returns what happened in each interval, by the groups. It returns no error.
func (w *Worker) Counts(_ None, intervals *[][]GroupCounts) error {
	w.population.mu.Lock()
	defer w.population.mu.Unlock()
	for _, groups := range w.population.intervals {
		copies := make([]GroupCounts, len(groups))
		for i, g := range groups {
			copies[i] = g.clone()
		}
		*intervals = append(*intervals, copies)
	}
	return nil
}

// PublisherConnectionsLost returns the number of connections that publishers lost. It returns no error.
func (w *Worker) PublisherConnectionsLost(_ None, n *int64) error {
	w.population.mu.Lock()
	defer w.population.mu.Unlock()
	*n = w.population.publisherConnectionsLost
	return nil
}

// Unaccepted returns the messages that the server has not acknowledged. It returns no error.
func (w *Worker) Unaccepted(_ None, numbers *Numbers) error {
	w.population.mu.Lock()
	defer w.population.mu.Unlock()
	*numbers = Numbers{}
	for id, m := range w.population.members {
		for number := range m.unaccepted {
			(*numbers)[id] = append((*numbers)[id], number)
		}
		slices.Sort((*numbers)[id])
	}
	return nil
}

// Unreceived returns those messages that none of this worker's clients received. It returns no error.
func (w *Worker) Unreceived(numbers Numbers, unreceived *Numbers) error {
	*unreceived = Numbers{}
	for publisher, of := range numbers {
		(*unreceived)[publisher] = of
	}
	w.population.eachClient(func(id int, _ *member, got reception) {
		publisher := w.plan.channel(id)
		if of := (*unreceived)[publisher]; len(of) > 0 {
			(*unreceived)[publisher] = slices.DeleteFunc(slices.Clone(of), got.has)
		}
	})
	return nil
}

// reception is what a client received of its channel's publisher.
type reception struct {
	// last is the highest number, gaps are the numbers below it that are missing.
	last uint32
	gaps []numberRange
	// falseGaps are those gaps, or parts of them, of which the server said that nothing is missing.
	falseGaps []numberRange
}

func (r reception) has(number uint32) bool {
	return number <= r.last &&
		!slices.ContainsFunc(r.gaps, func(gap numberRange) bool { return gap.first <= number && number <= gap.last })
}

// eachClient calls visit for each client of a group that has been connected, with the client's shard and the population
// locked.
func (p *population) eachClient(visit func(id int, m *member, got reception)) {
	w := p.worker
	for _, id := range w.ownedIn(w.plan.listeners()) {
		resume, s := w.resumeState(id), w.shardOf(id)
		s.mu.Lock()
		p.mu.Lock()
		if m := p.members[id]; m != nil {
			visit(id, m, reception{
				last:      *resume.lastNumber(0, 1),
				gaps:      s.gaps[sequenceKey{uint32(id), uint32(w.plan.channel(id))}],
				falseGaps: resume.falseGaps,
			})
		}
		p.mu.Unlock()
		s.mu.Unlock()
	}
}

// Losses counts the messages that this worker's clients did not receive. A client that is away at the end misses those
// only behind which it received others. Losses returns no error.
func (w *Worker) Losses(args LossArgs, reply *LossReply) error {
	groups := len(w.plan.groups)
	reply.AwayAtEnd = make([]int64, groups)
	for range args.Ends {
		reply.Intervals = append(reply.Intervals, make([]Loss, groups))
	}
	w.population.eachClient(func(id int, m *member, got reception) {
		publisher, group := w.plan.channel(id), w.plan.group(id)
		count := missingCounter{publisher: publisher, args: &args}
		client := ClientResult{
			Client:     id - w.plan.extra,
			Group:      w.options.Groups[group].String(),
			Channel:    w.plan.channelName(publisher),
			TimesAway:  m.timesAway,
			Duplicated: m.duplicated,
			Reordered:  m.reordered,
			Gone:       m.gone,
			AwayAtEnd:  m.connection == nil && !m.gone,
		}
		gaps := got.gaps
		if end := count.end(); m.connection != nil && end > got.last {
			tail := numberRange{got.last + 1, end}
			gaps = append(slices.Clone(gaps), tail)
			if mayBeOnItsWay(m) {
				reply.Pending += count.total(tail)
			}
		}
		for i := range args.Ends {
			loss := &reply.Intervals[i][group]
			missing, falsely := count.in(i, gaps), count.in(i, overlaps(gaps, got.falseGaps))
			loss.Missing += missing
			loss.FalselyRecovered += falsely
			client.FalselyRecovered += falsely
			if w.options.Groups[group].Plain {
				client.Missed += missing
			} else {
				client.Lost += missing
			}
		}
		if client.AwayAtEnd {
			reply.AwayAtEnd[group]++
		}
		reply.Clients = append(reply.Clients, client)
	})
	reply.Clients = worstClients(reply.Clients)
	return nil
}

// mayBeOnItsWay reports whether messages behind the last one that a client received can still come: not when the client
// has come back without them.
func mayBeOnItsWay(m *member) bool {
	return m.timesAway == 0 || m.connection.received || m.connection.recovery.recovered
}

// overlaps returns the numbers that are in a range of both lists.
func overlaps(a, b []numberRange) []numberRange {
	var both []numberRange
	for _, one := range a {
		for _, other := range b {
			if first, last := max(one.first, other.first), min(one.last, other.last); first <= last {
				both = append(both, numberRange{first, last})
			}
		}
	}
	return both
}

// missingCounter counts the messages of one publisher that are missing, by interval.
type missingCounter struct {
	publisher int
	args      *LossArgs
}

// end returns the last number of the publisher.
func (c missingCounter) end() uint32 { return c.args.Ends[len(c.args.Ends)-1][c.publisher] }

// in returns how many numbers of the ranges belong to messages of an interval and were accepted.
func (c missingCounter) in(interval int, ranges []numberRange) (n int64) {
	first, last := uint32(1), c.args.Ends[interval][c.publisher]
	if interval > 0 {
		first = c.args.Ends[interval-1][c.publisher] + 1
	}
	for _, r := range ranges {
		n += c.total(numberRange{max(first, r.first), min(last, r.last)})
	}
	return n
}

// total returns how many numbers of a range were accepted. A range that ends before it begins is empty.
func (c missingCounter) total(r numberRange) int64 {
	if r.first > r.last {
		return 0
	}
	unaccepted := c.args.Unaccepted[c.publisher]
	from, _ := slices.BinarySearch(unaccepted, r.first)
	to, found := slices.BinarySearch(unaccepted, r.last)
	if found {
		to++
	}
	return int64(r.last-r.first) + 1 - int64(to-from)
}
