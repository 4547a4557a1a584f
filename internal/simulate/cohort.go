package simulate

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// cohort is a number of clients that are away and have the same history.
type cohort struct {
	// left is when they lost their connection.
	left slot
	// layer is the index of their layer, failed the number of attempts that failed since.
	layer, failed uint8
	count         int64
}

func compareCohorts(a, b cohort) int {
	return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.layer, b.layer), cmp.Compare(a.failed, b.failed))
}

// retryPrecision is what the time of the loss is rounded to for clients whose attempt failed, so that their cohorts can
// be joined.
const retryPrecision = slotsPerSecond / 2

// attempts holds the cohorts that are away by the slot of their next attempt. It is a ring: no attempt is farther away
// than its length.
type attempts struct {
	slots []attemptsOfSlot
	// spare are lists that can be used again.
	spare [][]cohort
}

// attemptsOfSlot are the cohorts whose next attempt is in one slot.
type attemptsOfSlot struct {
	cohorts []cohort
	// joinAt is the length at which equal cohorts are joined.
	joinAt int
}

const firstJoin = 512

func newAttempts(longest slot) *attempts {
	return &attempts{slots: make([]attemptsOfSlot, longest+2)}
}

// add adds a cohort whose next attempt is in a slot after now.
func (a *attempts) add(at slot, c cohort) {
	in := &a.slots[at%slot(len(a.slots))]
	if n := len(in.cohorts); n > 0 && compareCohorts(in.cohorts[n-1], c) == 0 {
		in.cohorts[n-1].count += c.count
		return
	}
	if in.cohorts == nil && len(a.spare) > 0 {
		in.cohorts, a.spare = a.spare[len(a.spare)-1], a.spare[:len(a.spare)-1]
	}
	in.cohorts = append(in.cohorts, c)
	if in.joinAt = max(in.joinAt, firstJoin); len(in.cohorts) >= in.joinAt {
		in.cohorts = join(in.cohorts)
		in.joinAt = max(firstJoin, 2*len(in.cohorts))
	}
}

// take removes and returns the cohorts whose attempt is now, equal ones joined. The caller gives the list back.
func (a *attempts) take(now slot) []cohort {
	in := &a.slots[now%slot(len(a.slots))]
	due := join(in.cohorts)
	*in = attemptsOfSlot{}
	return due
}

// giveBack lets a list that take returned be used again.
func (a *attempts) giveBack(list []cohort) {
	if cap(list) > 0 {
		a.spare = append(a.spare, list[:0])
	}
}

// join joins equal cohorts, and orders them.
func join(cohorts []cohort) []cohort {
	slices.SortFunc(cohorts, compareCohorts)
	joined := cohorts[:0]
	for _, c := range cohorts {
		if n := len(joined); n > 0 && compareCohorts(joined[n-1], c) == 0 {
			joined[n-1].count += c.count
		} else {
			joined = append(joined, c)
		}
	}
	return joined
}

// delay is the distribution of a time in slots.
type delay struct {
	first slot
	// cumulative[i] is the probability of first+i or less.
	cumulative []float64
}

// newDelay returns the distribution of the sum of times that are independent of each other. It is at least one slot: an
// attempt comes after the loss.
func newDelay(parts ...Range) delay {
	d := delay{cumulative: []float64{1}}
	weights := []float64{1}
	for _, part := range parts {
		first, last := slots(part.Min), slots(part.Max)
		d.first += first
		summed := make([]float64, len(weights)+int(last-first))
		for i, weight := range weights {
			for j := range last - first + 1 {
				summed[i+int(j)] += weight / float64(last-first+1)
			}
		}
		weights = summed
	}
	if d.first < 1 {
		// What would be in slot 0 is in slot 1.
		if d.first = 1; len(weights) > 1 {
			weights[1] += weights[0]
			weights = weights[1:]
		}
	}
	d.cumulative = make([]float64, len(weights))
	sum := 0.0
	for i, weight := range weights {
		sum += weight
		d.cumulative[i] = sum
	}
	return d
}

// spread calls add with the part of n that a delay brings to each slot after now.
func (d delay) spread(r random, n int64, now slot, add func(at slot, part int64)) {
	places := len(d.cumulative)
	if n < int64(places)/2 {
		for range n {
			place := sort.SearchFloat64s(d.cumulative, r.Float64())
			add(now+d.first+slot(min(place, places-1)), 1)
		}
		return
	}
	before := 0.0
	for place, cumulative := range d.cumulative {
		part := n
		if place < places-1 {
			part = r.binomial(n, (cumulative-before)/(1-before))
		}
		if part > 0 {
			add(now+d.first+slot(place), part)
		}
		n, before = n-part, cumulative
	}
}

// cause is what a client waits for besides its layer's wait.
type cause int

const (
	// causeClosed is a close frame of a drain, causeCut the end of the gateway's process.
	causeClosed cause = iota
	causeCut
	// causeNodeLost is a loss that the client has to notice first.
	causeNodeLost
	// causeRefused is a handshake that is refused after a time.
	causeRefused
	// causeUnanswered is a handshake without an answer.
	causeUnanswered
	// causeUnreachable is a connection that is refused at once, because no gateway is ready.
	causeUnreachable
	causes
)

// firstWait returns what passes before a layer begins to wait.
func (s *Scenario) firstWait(c cause) Range {
	switch c {
	case causeNodeLost:
		return s.ClientDetection
	case causeRefused:
		longest := s.Spec.Gateway.RefusalDelay.Duration
		return Range{longest / 2, longest}
	case causeUnanswered:
		return Range{s.ConnectTimeout, s.ConnectTimeout}
	default:
		return Range{}
	}
}

// longestAway returns the longest time between two attempts of a client.
func (s *Scenario) longestAway() time.Duration {
	longest := time.Duration(0)
	for _, share := range s.Clients {
		for c := range causes {
			longest = max(longest, s.firstWait(c).Max+share.Layer.LongestWait())
		}
	}
	return longest
}

// population are the clients: those of each layer that are away, and how many left for good.
type population struct {
	scenario *Scenario
	random   random
	attempts *attempts
	// delays are computed when they are first used.
	delays [causes][][]*delay
	// leaving are the clients of the current slot that lost their connection, by cause and layer.
	leaving    [causes][]int64
	away, gone int64
}

func newPopulation(s *Scenario, r random) *population {
	p := &population{scenario: s, random: r, attempts: newAttempts(slots(s.longestAway()) + 2)}
	for c := range causes {
		p.leaving[c] = make([]int64, len(s.Clients))
		p.delays[c] = make([][]*delay, len(s.Clients))
		for layer := range s.Clients {
			p.delays[c][layer] = make([]*delay, reconnect.MaxAttempt+1)
		}
	}
	return p
}

// lose takes clients of a layer whose connection ends now.
func (p *population) lose(layer int, n int64, c cause) { p.leaving[c][layer] += n }

// leave begins the waits of the clients that lost their connection in this slot.
func (p *population) leave(now slot) {
	for c := range causes {
		for layer, n := range p.leaving[c] {
			if n == 0 {
				continue
			}
			p.leaving[c][layer] = 0
			stays := p.random.binomial(n, p.scenario.LeaveShare)
			if c == causeClosed && p.scenario.Clients[layer].Layer.EndsAtClose {
				stays = n
			}
			p.gone += stays
			p.away += n - stays
			p.wait(now, cohort{left: now, layer: uint8(layer), count: n - stays}, c)
		}
	}
}

// fail begins the waits after an attempt that failed. The clients of layers that give up are gone.
func (p *population) fail(now slot, c cohort, why cause) {
	if c.count == 0 {
		return
	}
	layer := &p.scenario.Clients[c.layer].Layer
	c.failed = min(c.failed+1, reconnect.MaxAttempt)
	if layer.EndsAfter(int(c.failed), why == causeRefused) {
		p.away -= c.count
		p.gone += c.count
		return
	}
	if layer.Attempts == 0 {
		c.failed = min(c.failed, uint8(layer.Settled()))
	}
	c.left = c.left / retryPrecision * retryPrecision
	p.wait(now, c, why)
}

// wait puts a cohort into the slots of its next attempt.
func (p *population) wait(now slot, c cohort, why cause) {
	cached := &p.delays[why][c.layer][c.failed]
	if *cached == nil {
		layer := &p.scenario.Clients[c.layer].Layer
		*cached = new(newDelay(p.scenario.firstWait(why), Range(layer.Wait(int(c.failed)))))
	}
	(*cached).spread(p.random, c.count, now, func(at slot, part int64) {
		p.attempts.add(at, cohort{c.left, c.layer, c.failed, part})
	})
}
