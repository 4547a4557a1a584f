package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/internal/load"
)

// channels is the number of channels, each with a publisher of its own, and rate the messages per second in all of
// them.
const (
	channels = 100
	rate     = 100
)

// clients are the numbers of clients by what they do when they lose their connection.
type clients struct{ sdk, plain, fixed int }

func (c clients) all() int { return c.sdk + c.plain + c.fixed }

// flags are those of `wsfleet load live`. The order of the groups is that of groups.
func (c clients) flags() []string {
	return []string{
		"--clients", strconv.Itoa(c.sdk),
		"--group", fmt.Sprintf("%d:reconnecting-websocket:plain", c.plain),
		"--group", fmt.Sprintf("%d:mqtt.js", c.fixed),
	}
}

// group is a group of clients in the result, and how long its layer waits at most before it first comes back.
type group struct {
	title     string
	firstWait time.Duration
}

func groups() []group {
	return []group{{"SDK", time.Second}, {"plain", 5 * time.Second}, {"fixed", time.Second}}
}

// test is one run.
type test struct {
	cluster    *cluster
	watch      *watch
	clients    clients
	acceptRate float64
	seed       uint64
	random     *rand.Rand

	// connected is the number of connections while all clients and publishers are there.
	connected int
	events    string
	rounds    int
}

// budget is the fleet's reconnect budget in clients per second.
func (t *test) budget() int { return max(1, int(t.acceptRate/2)) }

// holdsRest is how long the fleet has to be at rest until an event is over.
const holdsRest = 5 * time.Second

// limit is how long an event may take.
const limit = 8 * time.Minute

func (t *test) awaitRest(ctx context.Context, done func(before, now status) bool) error {
	before, err := t.watch.last()
	if err != nil {
		return err
	}
	_, err = t.awaitDone(ctx, before, done)
	return err
}

// awaitDone waits until an event is over and all clients are back, and returns since when.
func (t *test) awaitDone(
	ctx context.Context, before status, done func(before, now status) bool,
) (time.Time, error) {
	over := func(now status) bool { return done(before, now) && now.connections() >= t.connected }
	err := t.watch.await(ctx, limit, holdsRest, over)
	return since(t.watch.all(), over), err
}

// roll changes the pods of the fleet.
func (t *test) roll(ctx context.Context) error {
	t.rounds++
	return t.cluster.patch(ctx, fmt.Sprintf(`{"pod":{"labels":{"round":"%d"}}}`, t.rounds))
}

// evict evicts a gateway that serves, as drain tools do: again and again until the PodDisruptionBudget allows it.
func (t *test) evict(ctx context.Context) error {
	for pod := ""; ; {
		s, err := t.watch.last()
		if err != nil {
			return err
		}
		if serving := s.in("serving"); !slices.Contains(serving, pod) {
			if len(serving) == 0 {
				return errors.New("no gateway serves")
			}
			// The one before was replaced by a rolling update.
			pod = serving[t.random.IntN(len(serving))]
		}
		if err = t.cluster.kube.Evict(ctx, pod); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("evict %s: %w", pod, err)
		case <-time.After(time.Second):
		}
	}
}

// row is one event of the run.
type row struct {
	event event
	began time.Time
	took  time.Duration
	live  load.LiveEvent
}

// run lets clients stay connected while the events happen one after the other. When one does not end, it returns an
// error and the outcome until then.
func (t *test) run(ctx context.Context, events []event) (*outcome, error) {
	t.random = rand.New(rand.NewPCG(t.seed, 0))
	say("seed %d", t.seed)
	directory, err := os.MkdirTemp("", "fleettest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	t.events = filepath.Join(directory, "events")
	cmd := t.cluster.loadCommand(context.WithoutCancel(ctx), load.Live, append(t.clients.flags(),
		"--channels", strconv.Itoa(channels), "--channel-prefix", "kept:", "--rate", strconv.Itoa(rate),
		"--connect-rate", strconv.Itoa(t.budget()), "--duration", "0", "--timeout", "30s", "--events", t.events)...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	var rows []row
	failed := t.happen(ctx, events, &rows, ended)
	_ = cmd.Process.Signal(os.Interrupt)
	<-ended
	o, err := newOutcome(t, rows, out.Bytes())
	return o, errors.Join(failed, err)
}

// happen lets the events happen, until the load tool ends.
func (t *test) happen(ctx context.Context, events []event, rows *[]row, ended <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ended:
			cancel(errors.New("`wsfleet load live` has ended"))
		case <-ctx.Done():
		}
	}()
	t.connected = t.clients.all() + channels
	if err := t.awaitRest(ctx, atRest); err != nil {
		return errors.Join(fmt.Errorf("all clients are connected: %w", err), context.Cause(ctx))
	}
	for _, e := range events {
		r := row{event: e, began: time.Now()}
		if err := t.mark(e.name); err != nil {
			return err
		}
		rest, err := t.happens(ctx, e)
		r.took = max(0, rest.Sub(r.began))
		*rows = append(*rows, r)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", e.name, err), context.Cause(ctx))
		}
		say("%s: %s", e.name, r.took.Round(100*time.Millisecond))
	}
	return nil
}

// operatorWithin is the time from the begin of an event within which the operator is killed.
const operatorWithin = 15 * time.Second

// happens lets an event happen, and waits until its effects are over. It returns when they were.
func (t *test) happens(ctx context.Context, e event) (rest time.Time, err error) {
	before, err := t.watch.last()
	if err != nil {
		return rest, err
	}
	done := e.done
	if done == nil {
		done = atRest
	}
	if e.whilstRolling {
		if err := t.roll(ctx); err != nil {
			return rest, err
		}
		err := t.watch.await(ctx, time.Minute, 0, func(s status) bool { return len(s.in("draining")) > 0 })
		if err != nil {
			return rest, fmt.Errorf("the rolling update is under way: %w", err)
		}
		if own := done; !e.staysRolling {
			done = func(before, now status) bool { return replaced(before, now) && own(before, now) }
		}
	}
	killed := make(chan error, 1)
	if e.keepOperator {
		killed <- nil
	} else {
		after := time.Duration(t.random.Int64N(int64(operatorWithin)))
		go func() { killed <- t.cluster.killOperator(ctx, after) }()
	}
	if err := e.do(ctx, t); err != nil {
		return rest, err
	}
	if err := <-killed; err != nil {
		return rest, err
	}
	return t.awaitDone(ctx, before, done)
}

// mark tells the load tool that an event begins, which reads it within a few hundredths of a second.
func (t *test) mark(name string) error {
	file, err := os.OpenFile(t.events, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, name)
	time.Sleep(100 * time.Millisecond)
	return errors.Join(err, file.Close())
}
