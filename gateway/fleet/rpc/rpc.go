// Package rpc lets gateways ask each other: a question goes to the instances that are named, each
// answers by itself, and whoever does not answer in time is told of as silent.
package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/internal/ratelog"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// patience is how long an instance has for its answer.
const patience = 2 * time.Second

// mostAsked is how many questions of others are handled at once; more are not answered, which tells
// them.
const mostAsked = 256

// errBug is told to who asked; the log says more.
var errBug = errors.New("the gateway met a bug")

// Sender is the way to other instances.
type Sender interface {
	Send(ctx context.Context, instance string, message []byte) (reached bool, err error)
}

// Handler answers a question. Its context ends when nobody waits any more.
type Handler func(ctx context.Context, arguments json.RawMessage) (any, error)

// Options are what Peers are made of.
type Options struct {
	// Instance is who this one is.
	Instance string
	Sender   Sender
	// Handlers answer questions, by their name.
	Handlers map[string]Handler
	Logger   *slog.Logger
}

// Peers is safe for use by many goroutines.
type Peers struct {
	options  Options
	slots    chan struct{}
	warnings *ratelog.Limiter

	mu      sync.Mutex
	last    uint64
	pending map[uint64]*asking
}

// asking is a question that is under way.
type asking struct {
	// waiting are instances that have not answered yet; the lock of the Peers guards them.
	waiting map[string]bool
	// answers has room for one of each.
	answers chan message
}

// message is what goes between instances: a question, or an answer to one.
type message struct {
	// Number is the asker's.
	Number uint64 `json:"n"`
	From   string `json:"from"`
	// Question is empty in an answer.
	Question  string          `json:"q,omitempty"`
	Arguments json.RawMessage `json:"args,omitempty"`
	Answer    json.RawMessage `json:"a,omitempty"`
	Problem   string          `json:"problem,omitempty"`
}

// Result is what became of a question.
type Result struct {
	// Answers are by instance.
	Answers map[string]json.RawMessage
	// Gone are certainly not there. Silent have not answered in time, or met a problem.
	Gone, Silent []string
}

// New returns peers. Hand them what the broker hears.
func New(o Options) *Peers {
	return &Peers{options: o, slots: make(chan struct{}, mostAsked), warnings: ratelog.New(o.Logger), pending: map[uint64]*asking{}}
}

// Ask asks instances and waits until each has answered, or for a time.
func (p *Peers) Ask(ctx context.Context, instances []string, question string, arguments any) (Result, error) {
	encoded, err := json.Marshal(arguments)
	if err != nil {
		return Result{}, fmt.Errorf("ask %s: %w", question, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	instances = slices.Compact(slices.Sorted(slices.Values(instances)))
	number, a := p.open(instances)
	defer p.close(number)
	r := Result{Answers: map[string]json.RawMessage{}}
	for _, instance := range instances {
		reached, err := p.tell(ctx, instance, message{Number: number, From: p.options.Instance, Question: question, Arguments: encoded})
		switch {
		case err != nil && p.giveUp(a, instance):
			r.Silent = append(r.Silent, instance)
		case err == nil && !reached && p.giveUp(a, instance):
			r.Gone = append(r.Gone, instance)
		}
	}
	p.gather(ctx, a, &r, len(instances)-len(r.Silent)-len(r.Gone))
	return r, nil
}

// gather waits for so many answers, or until the context ends.
func (p *Peers) gather(ctx context.Context, a *asking, r *Result, many int) {
	for range many {
		select {
		case m := <-a.answers:
			r.add(m)
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			for len(a.answers) > 0 {
				r.add(<-a.answers)
			}
			r.Silent = slices.AppendSeq(r.Silent, maps.Keys(a.waiting))
			return
		}
	}
}

func (r *Result) add(m message) {
	if m.Problem != "" {
		r.Silent = append(r.Silent, m.From)
		return
	}
	r.Answers[m.From] = m.Answer
}

func (p *Peers) open(instances []string) (uint64, *asking) {
	a := &asking{waiting: map[string]bool{}, answers: make(chan message, len(instances))}
	for _, instance := range instances {
		a.waiting[instance] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.pending[p.last] = a
	return p.last, a
}

// giveUp waits no longer for an instance. It reports false when that has answered all the same.
func (p *Peers) giveUp(a *asking, instance string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	waited := a.waiting[instance]
	delete(a.waiting, instance)
	return waited
}

func (p *Peers) close(number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pending, number)
}

// tell sends a message, to this instance by a shorter way.
func (p *Peers) tell(ctx context.Context, instance string, m message) (reached bool, err error) {
	if instance == p.options.Instance {
		p.take(m)
		return true, nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return false, fmt.Errorf("tell a gateway: %w", err)
	}
	return p.options.Sender.Send(ctx, instance, b)
}

// OnMessage takes a message of another instance. It implements broker.MessageHandler.
func (p *Peers) OnMessage(b []byte) {
	var m message
	if err := json.Unmarshal(b, &m); err != nil || m.From == "" {
		p.warn(errors.New("a message to this gateway that no gateway wrote"))
		return
	}
	p.take(m)
}

func (p *Peers) take(m message) {
	if m.Question == "" {
		p.answered(m)
		return
	}
	select {
	case p.slots <- struct{}{}:
		go p.answer(m)
	default:
		p.warn(errors.New("other gateways ask more than this one can answer"))
	}
}

// answered takes an answer, unless it is late, or comes twice, or of somebody who was not asked.
func (p *Peers) answered(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.pending[m.Number]
	if a == nil || !a.waiting[m.From] {
		return
	}
	delete(a.waiting, m.From)
	a.answers <- m
}

// answer handles a question of another instance, or of this one.
func (p *Peers) answer(m message) {
	defer func() { <-p.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply := message{Number: m.Number, From: p.options.Instance}
	var err error
	if reply.Answer, err = p.handle(ctx, m); err != nil {
		reply.Problem = err.Error()
		p.warn(fmt.Errorf("question %q: %w", m.Question, err))
	}
	if _, err := p.tell(ctx, m.From, reply); err != nil {
		p.warn(err)
	}
}

// handle has a question answered. A bug met by one must not end the gateway.
func (p *Peers) handle(ctx context.Context, m message) (encoded json.RawMessage, err error) {
	defer recovery.ToError(&err, errBug, p.options.Logger, "a question of another gateway failed", slog.String("question", m.Question))
	h := p.options.Handlers[m.Question]
	if h == nil {
		return nil, errors.New("not known to this gateway")
	}
	answer, err := h(ctx, m.Arguments)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

func (p *Peers) warn(err error) {
	p.warnings.Warn("gateways do not understand each other", slog.Any("error", err))
}
