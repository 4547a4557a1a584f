// Package rpc lets one gateway call methods of other gateways of the fleet. Requests and responses are JSON messages
// that travel through the broker. A call goes to a list of gateways at once and collects their results until all have
// responded or the timeout is over.
//
// Package control uses it for commands and queries that concern clients on other gateways.
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

// timeout is how long a call waits for responses, and how long a handler may run.
const timeout = 2 * time.Second

// maxConcurrent is the maximum number of requests that a gateway handles at the same time. It drops more requests, and
// their callers run into the timeout.
const maxConcurrent = 256

// Sender sends messages to other gateways. Package broker implements it.
type Sender interface {
	// Send sends message to the gateway with the ID. reached is false when no such gateway receives messages. It returns
	// an error when the broker cannot be reached.
	Send(ctx context.Context, gatewayID string, message []byte) (reached bool, err error)
}

// Handler executes a method with the JSON-encoded params of a request. It returns a result that can be encoded as JSON,
// or an error, whose text the caller's log may show. ctx ends with the timeout.
type Handler func(ctx context.Context, params json.RawMessage) (any, error)

// Options configure a Peer.
type Options struct {
	// GatewayID is the ID of this gateway.
	GatewayID string
	Sender    Sender
	// Handlers are the methods that other gateways can call, by name.
	Handlers map[string]Handler
	Logger   *slog.Logger
}

// Peer is the end of the RPC in one gateway. It calls other gateways and handles their requests. It is safe for use by
// many goroutines.
type Peer struct {
	options Options
	// slots holds a token for every request that is being handled.
	slots    chan struct{}
	warnings *ratelog.Limiter

	// mu guards the fields below and the waiting gateways of all calls.
	mu sync.Mutex
	// lastCall is the ID of the latest call.
	lastCall uint64
	// calls are the calls that wait for responses, by ID.
	calls map[uint64]*call
}

// call is a call that waits for responses.
type call struct {
	// waiting are the gateways that have not responded. Peer.mu guards it.
	waiting map[string]bool
	// responses has room for one response of each gateway.
	responses chan message
}

// message is a request or a response as it travels between gateways. Gateways of different versions exchange messages
// during a rolling update, so the JSON keys must not change.
type message struct {
	// Call is the ID of the call. The caller chooses it, and the response repeats it.
	Call uint64 `json:"n"`
	// From is the ID of the gateway that sends the message.
	From string `json:"from"`
	// Method is empty in a response.
	Method string          `json:"q,omitempty"`
	Params json.RawMessage `json:"args,omitempty"`
	Result json.RawMessage `json:"a,omitempty"`
	// Error is the text of the handler's error.
	Error string `json:"problem,omitempty"`
}

// Results are what the gateways of a call returned.
type Results struct {
	// ByGateway are the JSON-encoded results by gateway ID.
	ByGateway map[string]json.RawMessage
	// Unreachable are the gateways that no longer exist.
	Unreachable []string
	// Failed are the gateways that responded with an error or not in time, or to which the request could not be sent.
	Failed []string
}

// New returns a Peer. The caller passes it to the broker, which calls OnMessage.
func New(o Options) *Peer {
	return &Peer{
		options:  o,
		slots:    make(chan struct{}, maxConcurrent),
		warnings: ratelog.New(o.Logger),
		calls:    map[uint64]*call{},
	}
}

// Call calls a method of the gateways with these IDs, which may include this gateway. It blocks until every gateway has
// responded, is unreachable or has failed, for two seconds at most or until ctx ends. It returns an error only when
// params cannot be encoded as JSON; what went wrong with single gateways is in the Results.
func (p *Peer) Call(ctx context.Context, gatewayIDs []string, method string, params any) (Results, error) {
	encoded, err := json.Marshal(params)
	if err != nil {
		return Results{}, fmt.Errorf("call %s: %w", method, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	gatewayIDs = slices.Compact(slices.Sorted(slices.Values(gatewayIDs)))
	id, c := p.startCall(gatewayIDs)
	defer p.endCall(id)
	request := message{
		Call:   id,
		From:   p.options.GatewayID,
		Method: method,
		Params: encoded,
	}
	r := Results{ByGateway: map[string]json.RawMessage{}}
	for _, gatewayID := range gatewayIDs {
		reached, err := p.send(ctx, gatewayID, request)
		switch {
		case err != nil && p.stopWaiting(c, gatewayID):
			r.Failed = append(r.Failed, gatewayID)
		case err == nil && !reached && p.stopWaiting(c, gatewayID):
			r.Unreachable = append(r.Unreachable, gatewayID)
		}
	}
	p.collect(ctx, c, &r, len(gatewayIDs)-len(r.Failed)-len(r.Unreachable))
	return r, nil
}

// collect adds count responses to r. When ctx ends first, it adds the gateways that have not responded to r.Failed.
func (p *Peer) collect(ctx context.Context, c *call, r *Results, count int) {
	for range count {
		select {
		case m := <-c.responses:
			r.add(m)
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			for len(c.responses) > 0 {
				r.add(<-c.responses)
			}
			r.Failed = slices.AppendSeq(r.Failed, maps.Keys(c.waiting))
			return
		}
	}
}

// add adds a response.
func (r *Results) add(m message) {
	if m.Error != "" {
		r.Failed = append(r.Failed, m.From)
		return
	}
	r.ByGateway[m.From] = m.Result
}

// startCall registers a call, so that its responses are taken from now on.
func (p *Peer) startCall(gatewayIDs []string) (id uint64, c *call) {
	c = &call{waiting: map[string]bool{}, responses: make(chan message, len(gatewayIDs))}
	for _, gatewayID := range gatewayIDs {
		c.waiting[gatewayID] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastCall++
	p.calls[p.lastCall] = c
	return p.lastCall, c
}

// stopWaiting stops waiting for the response of a gateway. It returns false when the gateway has responded already.
func (p *Peer) stopWaiting(c *call, gatewayID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := c.waiting[gatewayID]
	delete(c.waiting, gatewayID)
	return waiting
}

// endCall forgets a call. Later responses are ignored.
func (p *Peer) endCall(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.calls, id)
}

// send sends a message through the broker, and a message to this gateway directly. reached is false when there is no
// such gateway. It returns the Sender's error.
func (p *Peer) send(ctx context.Context, gatewayID string, m message) (reached bool, err error) {
	if gatewayID == p.options.GatewayID {
		p.dispatch(m)
		return true, nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return false, fmt.Errorf("encode a message to a gateway: %w", err)
	}
	return p.options.Sender.Send(ctx, gatewayID, b)
}

// OnMessage implements broker.MessageHandler. It takes a message of another gateway and does not block.
func (p *Peer) OnMessage(b []byte) {
	var m message
	if err := json.Unmarshal(b, &m); err != nil || m.From == "" {
		p.warn(errors.New("a message to this gateway that no gateway wrote"))
		return
	}
	p.dispatch(m)
}

// dispatch passes a response to its call, and starts a goroutine for a request. It drops the request when maxConcurrent
// requests are being handled.
func (p *Peer) dispatch(m message) {
	if m.Method == "" {
		p.onResponse(m)
		return
	}
	select {
	case p.slots <- struct{}{}:
		go p.handle(m)
	default:
		p.warn(errors.New("other gateways send more requests than this one can handle"))
	}
}

// onResponse passes a response to its call. It ignores a response that is late, a repetition, or of a gateway that was
// not called.
func (p *Peer) onResponse(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[m.Call]
	if c == nil || !c.waiting[m.From] {
		return
	}
	delete(c.waiting, m.From)
	c.responses <- m
}

// handle executes a request and sends the response. It releases the request's slot.
func (p *Peer) handle(m message) {
	defer func() { <-p.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	response := message{Call: m.Call, From: p.options.GatewayID}
	var err error
	if response.Result, err = p.execute(ctx, m); err != nil {
		response.Error = err.Error()
		p.warn(fmt.Errorf("method %q: %w", m.Method, err))
	}
	if _, err := p.send(ctx, m.From, response); err != nil {
		p.warn(err)
	}
}

// execute calls the method's handler and encodes its result. It returns the handler's error, recovery.ErrPanic when
// the handler panics, and an error for an unknown method.
func (p *Peer) execute(ctx context.Context, m message) (encoded json.RawMessage, err error) {
	defer recovery.ToError(&err, p.options.Logger, "a request of another gateway failed",
		slog.String("method", m.Method))
	h := p.options.Handlers[m.Method]
	if h == nil {
		return nil, errors.New("not known to this gateway")
	}
	result, err := h(ctx, m.Params)
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// warn logs that a message or a request failed.
func (p *Peer) warn(err error) {
	p.warnings.Warn("a message between gateways failed", slog.Any("error", err))
}
