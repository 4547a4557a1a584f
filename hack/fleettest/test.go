package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// flags are those of `wsfleet load live`. The order of the groups is that of groupsOf.
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
	return t.awaitDone(ctx, before, done)
}

func (t *test) awaitDone(ctx context.Context, before status, done func(before, now status) bool) error {
	return t.watch.await(ctx, limit, holdsRest, func(now status) bool {
		return done(before, now) && now.connections() >= t.connected
	})
}

// roll changes the pods of the fleet.
func (t *test) roll(ctx context.Context) error {
	t.rounds++
	return t.cluster.patch(ctx, fmt.Sprintf(`{"pod":{"labels":{"round":"%d"}}}`, t.rounds))
}

// evict evicts a gateway, as drain tools do: again and again until the PodDisruptionBudget allows it.
func (t *test) evict(ctx context.Context) error {
	s, err := t.watch.last()
	if err != nil {
		return err
	}
	serving := s.in("serving")
	if len(serving) == 0 {
		return errors.New("no gateway serves")
	}
	pod := serving[t.random.IntN(len(serving))]
	for {
		err := t.cluster.kube.Evict(ctx, pod)
		if err == nil || bytes.Contains([]byte(err.Error()), []byte("not found")) {
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

// run lets clients stay connected while the events happen one after the other.
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
	err = t.happen(ctx, events, &rows, ended)
	_ = cmd.Process.Signal(os.Interrupt)
	<-ended
	if err != nil {
		return nil, err
	}
	return newOutcome(t, rows, out.Bytes())
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
		began := time.Now()
		took, err := t.happens(ctx, e)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", e.name, err), context.Cause(ctx))
		}
		say("%s: %s", e.name, took.Round(100*time.Millisecond))
		*rows = append(*rows, row{event: e, began: began, took: took})
	}
	return nil
}

// operatorWithin is the time from the begin of an event within which the operator is killed.
const operatorWithin = 15 * time.Second

// happens lets an event happen, and waits until its effects are over.
func (t *test) happens(ctx context.Context, e event) (time.Duration, error) {
	before, err := t.watch.last()
	if err != nil {
		return 0, err
	}
	done := e.done
	if done == nil {
		done = atRest
	}
	if err := t.mark(e.name); err != nil {
		return 0, err
	}
	began := time.Now()
	if e.whilstRolling {
		if err := t.roll(ctx); err != nil {
			return 0, err
		}
		err := t.watch.await(ctx, time.Minute, 0, func(s status) bool { return len(s.in("draining")) > 0 })
		if err != nil {
			return 0, fmt.Errorf("the rolling update is under way: %w", err)
		}
		if own := done; !e.staysRolling {
			done = func(before, now status) bool { return replaced(before, now) && own(before, now) }
		}
	}
	killed := make(chan error, 1)
	if e.keepOperator {
		killed <- nil
	} else {
		go func() { killed <- t.cluster.killOperator(ctx, operatorWithin, t.random) }()
	}
	if err := e.do(ctx, t); err != nil {
		return 0, err
	}
	if err := <-killed; err != nil {
		return 0, err
	}
	if err := t.awaitDone(ctx, before, done); err != nil {
		return 0, err
	}
	return time.Since(began) - holdsRest, nil
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
