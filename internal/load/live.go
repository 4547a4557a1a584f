package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// live publishes while the fleet changes and clients come back, until the duration is over or the user ends the run.
func (d *director) live(ctx context.Context) error {
	t, err := d.publish(ctx, unlimited)
	if err != nil {
		return err
	}
	r := liveRun{director: d, events: []LiveEvent{{Seconds: d.sinceStart()}}}
	err = d.measurePhase(ctx, "live", func() error { return r.watchFleet(ctx) })
	measuredSeconds := time.Duration(d.clock.now() - t.args.From).Seconds()
	_, ended := callEach[None, None](d.workers, "StopPublishing", sameArgs(None{}))
	if err = errors.Join(err, ended); err != nil {
		err = errors.Join(err, d.workers.cancel())
	}
	<-t.published
	if err = errors.Join(err, t.failed); err != nil {
		return err
	}
	losses, err := r.settle(ctx)
	if err != nil {
		return err
	}
	return errors.Join(r.finish(t, losses, measuredSeconds), r.eventsFailed)
}

// sinceStart returns the time since the run began, as samples have it.
func (d *director) sinceStart() float64 { return time.Since(d.startedAt).Seconds() }

// liveRun collects the events of a run of live.
type liveRun struct {
	director *director
	// eventsFailed is why the run ended, where that is the file of the events.
	eventsFailed error
	// events are the intervals so far. ends are the last numbers of the publishers in each of them but the current one.
	events []LiveEvent
	ends   []map[int]uint32
}

// watchFleet marks events until the run's time is over, ctx ends, or the file of the events cannot be used any more.
func (r *liveRun) watchFleet(ctx context.Context) error {
	d := r.director
	var over <-chan time.Time
	if d.options.Duration > 0 {
		timer := time.NewTimer(d.options.Duration)
		defer timer.Stop()
		over = timer.C
	}
	ticker := time.NewTicker(eventInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		case <-ticker.C:
		}
		labels, err := d.eventLines.read()
		if free := maxEvents - (len(r.events) - 1); err == nil && len(labels) > free {
			labels = labels[:free]
			err = fmt.Errorf("--events: more than %d lines in %s: give a file with a line per event", maxEvents,
				d.options.Events)
		}
		for _, label := range labels {
			if err := r.mark(label); err != nil {
				return err
			}
		}
		// What was counted until now is worth its report.
		if r.eventsFailed = err; err != nil {
			return nil
		}
	}
}

// maxEvents is the maximum number of events of a run. It protects against a file that is no list of events.
const maxEvents = 1000

// mark begins the interval of an event.
func (r *liveRun) mark(label string) error {
	r.events = append(r.events, LiveEvent{Label: label, Seconds: r.director.sinceStart()})
	return r.end("BeginInterval")
}

// end notes the last numbers of the current interval, by a method of the workers that returns them.
func (r *liveRun) end(method string) error {
	all, err := callEach[None, map[int]uint32](r.director.workers, method, sameArgs(None{}))
	ends := map[int]uint32{}
	for _, of := range all {
		for publisher, number := range of {
			ends[publisher] = number
		}
	}
	r.ends = append(r.ends, ends)
	return err
}

// settleInterval is how often settle looks whether messages are on their way.
const settleInterval = 100 * time.Millisecond

// settle waits until all clients are back and have received what was published, or until nothing has come for the
// timeout. When the user has ended the run, it does not wait for clients that are away. It returns what is missing.
func (r *liveRun) settle(ctx context.Context) (LossReply, error) {
	d := r.director
	d.mu.Lock()
	d.phase = "drain"
	d.mu.Unlock()
	if err := r.end("LastNumbers"); err != nil {
		return LossReply{}, err
	}
	progress, since := int64(-1), time.Now()
	for {
		now, err := d.report()
		if err != nil {
			return LossReply{}, err
		}
		losses, err := r.losses()
		if err != nil {
			return LossReply{}, err
		}
		if losses.Pending == 0 && (now.Away == 0 || interrupted(ctx)) {
			return losses, nil
		}
		if sum := now.Received + now.Returns + now.Acknowledged; sum != progress {
			progress, since = sum, time.Now()
		}
		if time.Since(since) >= d.options.Timeout {
			return losses, nil
		}
		time.Sleep(settleInterval)
	}
}

// interrupted reports whether the user has ended the run.
func interrupted(ctx context.Context) bool { return ctx.Err() != nil }

// losses returns the messages that are missing, over all workers.
func (r *liveRun) losses() (sum LossReply, err error) {
	unaccepted, err := r.unaccepted()
	if err != nil {
		return sum, err
	}
	args := LossArgs{Ends: r.ends, Unaccepted: unaccepted}
	all, err := callEach[LossArgs, LossReply](r.director.workers, "Losses", sameArgs(args))
	if err != nil {
		return sum, err
	}
	sum = all[0]
	for _, reply := range all[1:] {
		sum.Pending += reply.Pending
		sum.Clients = append(sum.Clients, reply.Clients...)
		for group, n := range reply.AwayAtEnd {
			sum.AwayAtEnd[group] += n
		}
		for i, groups := range reply.Intervals {
			for group, loss := range groups {
				sum.Intervals[i][group].Missing += loss.Missing
				sum.Intervals[i][group].FalselyRecovered += loss.FalselyRecovered
			}
		}
	}
	sum.Clients = worstClients(sum.Clients)
	return sum, nil
}

// unaccepted returns the messages that the server did not acknowledge and no client received. One that a client
// received was accepted, and only its acknowledgement is missing.
func (r *liveRun) unaccepted() (Numbers, error) {
	all, err := callEach[None, Numbers](r.director.workers, "Unaccepted", sameArgs(None{}))
	numbers := Numbers{}
	for _, of := range all {
		for publisher, n := range of {
			numbers[publisher] = n
		}
	}
	if err != nil || len(numbers) == 0 {
		return numbers, err
	}
	for i := range r.director.workers.clients {
		if numbers, err = r.unreceived(i, numbers); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// unreceived returns those messages that no client of a worker received.
func (r *liveRun) unreceived(worker int, numbers Numbers) (left Numbers, err error) {
	err = r.director.workers.clients[worker].Call(serviceName+".Unreceived", numbers, &left)
	if err != nil {
		return nil, fmt.Errorf("worker %d: %w", worker, err)
	}
	return left, nil
}

// finish fills in the result.
func (r *liveRun) finish(t *traffic, losses LossReply, measuredSeconds float64) error {
	d := r.director
	report, err := d.report()
	if err != nil {
		return err
	}
	counts, err := callEach[None, [][]GroupCounts](d.workers, "Counts", sameArgs(None{}))
	if err != nil {
		return err
	}
	publishers, err := callEach[None, int64](d.workers, "PublisherConnectionsLost", sameArgs(None{}))
	if err != nil {
		return err
	}
	d.result.Live = r.result(counts, losses)
	for _, n := range publishers {
		d.result.Live.PublisherConnectionsLost += n
	}
	for _, reply := range t.replies {
		d.result.Live.SkippedMessages += reply.Skipped
	}
	p, v := d.measured(report, measuredSeconds)
	all := d.result.Live.Total
	v.Lost, v.Expected = all.Lost, v.Received+all.Lost+all.Missed
	d.result.Publish, d.result.Delivery = p, v
	return nil
}

// result adds up what the workers counted, by event, by group and in all.
func (r *liveRun) result(workers [][][]GroupCounts, losses LossReply) *LiveResult {
	d := r.director
	groups := d.options.Groups
	total, byGroup := newLiveSum(), make([]*liveSum, len(groups))
	for i := range groups {
		byGroup[i] = newLiveSum()
	}
	for i := range r.events {
		event := newLiveSum()
		r.events[i].Groups = make([]AwayTimes, len(groups))
		for group, g := range groups {
			own := newLiveSum()
			for _, sum := range []*liveSum{total, byGroup[group], event, own} {
				for _, counts := range workers {
					sum.add(counts[i][group])
				}
				sum.addLoss(losses.Intervals[i][group], g.Plain)
			}
			r.events[i].Groups[group] = own.result().Away
		}
		r.events[i].LiveCounts = event.result()
	}
	d.result.awayTimes = awayHistogram(total.away)
	result := &LiveResult{Total: total.result(), Events: r.events, Clients: losses.Clients, Groups: []LiveGroup{}}
	for i, g := range groups {
		group := LiveGroup{
			Clients:    g.Clients,
			Layer:      g.Layer.Name,
			Protocol:   Centrifuge,
			LiveCounts: byGroup[i].result(),
			AwayAtEnd:  losses.AwayAtEnd[i],
		}
		if g.Plain {
			group.Protocol = Plain
		}
		result.AwayAtEnd += group.AwayAtEnd
		result.Groups = append(result.Groups, group)
	}
	return result
}
