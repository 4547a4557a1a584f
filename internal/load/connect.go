package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/gobwas/ws"
)

// ConnectArgs say which clients connect, and when.
type ConnectArgs struct {
	Range
	// Start is when the first one is due, by the shared clock.
	Start int64
	// Rate is this worker's connections per second; 0 is without limit.
	Rate float64
	// Concurrency is how many of this worker's handshakes are under way at once.
	Concurrency int
	// Storm clients are all due at Start, or at random within Jitter after it, and try again until GiveUp.
	Storm  bool
	Jitter time.Duration
	GiveUp int64
}

// ConnectReply is how it went.
type ConnectReply struct {
	Attempted, Connected, Failed int64
	// Errors are of attempts; a client of a storm may have several.
	Errors  map[string]int64
	Latency []byte
	// Last is when the last client was subscribed, by the shared clock; 0 without any.
	Last int64
	// Recovery is of those that came back with a position.
	Recovery Recovery
	// GaveUp is set when nobody could connect and the rest did not try.
	GaveUp bool
}

// connecting clients share this.
type connects struct {
	worker *Worker
	args   ConnectArgs
	slots  chan struct{}

	mu      sync.Mutex
	reply   ConnectReply
	latency *hdrhistogram.Histogram
}

// Connect connects clients and returns when each has its subscription or has failed.
func (w *Worker) Connect(args ConnectArgs, reply *ConnectReply) error {
	all := &connects{worker: w, args: args, slots: make(chan struct{}, max(1, args.Concurrency)), latency: newHistogram()}
	all.reply.Errors = map[string]int64{}
	ids := w.mine(args.Range)
	due := all.schedule(len(ids))
	var group sync.WaitGroup
	for i, id := range ids {
		if !w.sleep(due[i]) || !all.enter() {
			break
		}
		if all.hopeless() {
			all.leave()
			break
		}
		group.Go(func() { all.connect(id, due[i]) })
	}
	group.Wait()
	var err error
	*reply = all.reply
	reply.Latency, err = encode(all.latency)
	return err
}

// schedule is when each client is due.
func (a *connects) schedule(n int) []int64 {
	due := make([]int64, n)
	for i := range due {
		due[i] = a.args.Start
		switch {
		case a.args.Jitter > 0:
			due[i] += rand.Int64N(int64(a.args.Jitter))
		case a.args.Rate > 0:
			due[i] += int64(float64(i) / a.args.Rate * float64(time.Second))
		}
	}
	slices.Sort(due)
	return due
}

// hopelessAfter is how many attempts must fail before the rest is spared.
const hopelessAfter = 100

func (a *connects) hopeless() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.reply
	r.GaveUp = !a.args.Storm && r.Connected == 0 && r.Attempted >= hopelessAfter && r.Failed == r.Attempted
	return r.GaveUp
}

func (a *connects) enter() bool {
	select {
	case a.slots <- struct{}{}:
		return true
	case <-a.worker.ctx.Done():
		return false
	}
}

func (a *connects) leave() { <-a.slots }

// Backoff of the clients of a storm: at random up to the first, which doubles up to the longest.
const (
	firstBackoff   = 200 * time.Millisecond
	longestBackoff = 5 * time.Second
)

// connect is one client's way to its subscription. It comes with a slot.
func (a *connects) connect(id int, due int64) {
	started := due
	if a.args.Rate == 0 && !a.args.Storm {
		// Without a schedule, who waits for a slot waits for this side, not for the server.
		started = a.worker.clock.now()
	}
	for backoff := firstBackoff; ; backoff = min(2*backoff, longestBackoff) {
		c, err := a.worker.connect(id)
		a.leave()
		if err == nil {
			a.worker.remember(c)
		}
		again := err != nil && a.args.Storm && a.worker.clock.now() < a.args.GiveUp
		a.note(c, err, started, again)
		if !again || !a.worker.sleep(a.worker.clock.now()+rand.Int64N(int64(backoff))) || !a.enter() {
			return
		}
	}
}

func (a *connects) note(c *client, err error, started int64, again bool) {
	if err != nil && a.worker.ctx.Err() != nil {
		// The run was ended, the server did nothing wrong.
		return
	}
	now := a.worker.clock.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reply.Attempted++
	switch {
	case err == nil:
		a.reply.Connected++
		a.reply.Last = max(a.reply.Last, now)
		record(a.latency, now-started)
		a.reply.Recovery.note(c.recovery)
		return
	case !again:
		a.reply.Failed++
	}
	a.reply.Errors[errorText(err)]++
}

// connect is one attempt: TCP, TLS, handshake, and the protocol's subscription.
func (w *Worker) connect(id int) (*client, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.options.Timeout)
	defer cancel()
	conn, early, err := w.dial(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := w.adopt(id, conn, early)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	hello := w.dialect.hello(w.plan.channelName(c.channel), c.past)
	if hello == nil {
		c.subscribed()
	} else if err := c.wire.write(maskedFrame(nil, ws.OpText, hello)); err != nil {
		c.shard.drop(c, nil)
		return nil, err
	}
	select {
	case err := <-c.ready:
		return c, err
	case <-ctx.Done():
		c.shard.drop(c, nil)
		return nil, ctx.Err()
	}
}

// dial returns a connection after its handshake, and what the server sent right behind it.
func (w *Worker) dial(ctx context.Context, id int) (conn net.Conn, early []byte, err error) {
	conn, err = w.dialer(id).DialContext(ctx, "tcp", w.address())
	if err != nil {
		return nil, nil, err
	}
	// A deadline in the past ends reads and writes that are under way.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = conn.Close()
		}
	}()
	if w.url.Scheme == "wss" {
		conn = tls.Client(conn,
			&tls.Config{
				ServerName:         w.url.Hostname(),
				InsecureSkipVerify: w.options.InsecureSkipVerify,
			}) //nolint:gosec // the user asks for it by name
	}
	handshake := ws.Dialer{Header: ws.HandshakeHeaderHTTP(w.header())}
	handshake.Host = w.options.Header.Get("Host")
	buffered, _, err := handshake.Upgrade(conn, w.dialect.target(w.url, w.plan.channelName(w.plan.channel(id))))
	if buffered != nil {
		early, _ = buffered.Peek(buffered.Buffered())
		early = slices.Clone(early)
		ws.PutReader(buffered)
	}
	return conn, early, err
}

// header is what the user wants in each handshake; the handshake writes Host itself.
func (w *Worker) header() http.Header {
	h := w.options.Header.Clone()
	h.Del("Host")
	return h
}

func (w *Worker) address() string {
	defaults := map[string]string{"ws": "80", "wss": "443"}
	return net.JoinHostPort(w.url.Hostname(), cmp.Or(w.url.Port(), defaults[w.url.Scheme]))
}

func (w *Worker) dialer(id int) *net.Dialer {
	d := &net.Dialer{Control: bindLate, KeepAlive: -1}
	if n := len(w.options.Sources); n > 0 {
		d.LocalAddr = &net.TCPAddr{IP: w.options.Sources[id%n].AsSlice()}
	}
	return d
}

// sleep returns at a time of the shared clock, or false when the run is over.
func (w *Worker) sleep(until int64) bool { return w.sleepUnless(until, nil) }

// sleepUnless is sleep that also ends, in vain, with a channel.
func (w *Worker) sleepUnless(until int64, over <-chan struct{}) bool {
	d := w.clock.until(until)
	if d <= 0 {
		return w.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-over:
		return false
	case <-w.ctx.Done():
		return false
	}
}

func refusal(status int) string {
	return fmt.Sprintf("handshake refused: %d %s", status, http.StatusText(status))
}

// errorText is what an error has in common with its like: no addresses, no ports.
func errorText(err error) string {
	var status ws.StatusError
	var operation *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &status):
		return refusal(int(status))
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &operation):
		return operation.Op + ": " + errorText(operation.Err)
	}
	return err.Error()
}
