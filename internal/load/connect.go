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

// ConnectArgs say which clients connect, and when. Times are nanoseconds of the shared clock.
type ConnectArgs struct {
	Range
	// Start is when the first client is due.
	Start int64
	// Rate is the number of connections per second of this worker; 0 for no limit.
	Rate float64
	// Concurrency is the maximum number of this worker's handshakes that are under way at once.
	Concurrency int
	// Storm makes all clients due at Start, or at random within Jitter after it. They retry until GiveUp.
	Storm  bool
	Jitter time.Duration
	GiveUp int64
	// RetryDelay is Options.RetryDelay.
	RetryDelay time.Duration
}

// Attempts are those of one second.
type Attempts struct {
	// Attempted counts attempts that began, Connected clients that were subscribed then.
	Attempted int64 `json:"attempted"`
	Connected int64 `json:"connected"`
}

// ConnectReply is the outcome of Connect.
type ConnectReply struct {
	Attempted, Connected, Failed int64
	// Errors counts failed attempts by reason. A client of a storm may have several.
	Errors map[string]int64
	// Latency is the encoded histogram of the times to connect.
	Latency []byte
	// Last is when the last client was subscribed; 0 when none was.
	Last int64
	// Timeline holds the attempts of each second after Start.
	Timeline []Attempts
	// Recovery counts clients that asked to recover.
	Recovery Recovery
	// GaveUp is set when the first attempts all failed and the other clients did not try.
	GaveUp bool
}

// connectBatch is the state that the connecting clients of one call share.
type connectBatch struct {
	worker *Worker
	args   ConnectArgs
	slots  chan struct{}

	// mu guards the fields below.
	mu      sync.Mutex
	reply   ConnectReply
	latency *hdrhistogram.Histogram
}

// Connect connects clients and returns when each is subscribed or has failed. It returns an error when the latency
// histogram cannot be encoded; failed connections are counted in reply.
func (w *Worker) Connect(args ConnectArgs, reply *ConnectReply) error {
	batch := &connectBatch{
		worker:  w,
		args:    args,
		slots:   make(chan struct{}, max(1, args.Concurrency)),
		latency: newHistogram(),
	}
	batch.reply.Errors = map[string]int64{}
	ids := w.ownedIn(args.Range)
	due := batch.schedule(len(ids))
	var group sync.WaitGroup
	for i, id := range ids {
		if !w.sleep(due[i]) || !batch.acquireSlot() {
			break
		}
		if batch.allFailed() {
			batch.releaseSlot()
			break
		}
		group.Go(func() { batch.connect(id, due[i]) })
	}
	group.Wait()
	var err error
	*reply = batch.reply
	reply.Latency, err = encode(batch.latency)
	return err
}

// schedule returns when each of n clients is due, in ascending order.
func (a *connectBatch) schedule(n int) []int64 {
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

// giveUpAfter is the number of failed attempts after which the other clients do not try, when none has succeeded.
const giveUpAfter = 100

// allFailed reports whether the batch should give up, and notes that in the reply.
func (a *connectBatch) allFailed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.reply
	r.GaveUp = !a.args.Storm && r.Connected == 0 && r.Attempted >= giveUpAfter && r.Failed == r.Attempted
	return r.GaveUp
}

// acquireSlot waits for a free handshake slot. It returns false when the worker is cancelled.
func (a *connectBatch) acquireSlot() bool {
	select {
	case a.slots <- struct{}{}:
		return true
	case <-a.worker.ctx.Done():
		return false
	}
}

func (a *connectBatch) releaseSlot() { <-a.slots }

// The delay before a storm's client retries is random, below a bound that doubles from firstBackoff to maxBackoff.
const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

// connect connects one client, with retries in a storm. The caller has acquired a slot, which connect releases.
func (a *connectBatch) connect(id int, due int64) {
	started := due
	if a.args.Rate == 0 && !a.args.Storm {
		// Without a schedule, the wait for a slot is not the server's latency.
		started = a.worker.clock.now()
	}
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		a.began()
		c, err := a.worker.connect(id)
		a.releaseSlot()
		if err == nil {
			a.worker.register(c)
		}
		retry := err != nil && a.args.Storm && a.worker.clock.now() < a.args.GiveUp
		a.record(c, err, started, retry)
		delay := int64(a.args.RetryDelay)
		if delay == 0 {
			delay = rand.Int64N(int64(backoff))
		}
		if !retry || !a.worker.sleep(a.worker.clock.now()+delay) || !a.acquireSlot() {
			return
		}
	}
}

// began counts the beginning of an attempt.
func (a *connectBatch) began() {
	now := a.worker.clock.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.second(now).Attempted++
}

// second returns the entry of the timeline for a time. The caller holds mu.
func (a *connectBatch) second(now int64) *Attempts {
	i := int(max(0, now-a.args.Start) / int64(time.Second))
	for len(a.reply.Timeline) <= i {
		a.reply.Timeline = append(a.reply.Timeline, Attempts{})
	}
	return &a.reply.Timeline[i]
}

// record counts one attempt. retry says that the client will try again.
func (a *connectBatch) record(c *client, err error, started int64, retry bool) {
	if err != nil && a.worker.ctx.Err() != nil {
		// The run has ended early. That is not the server's failure.
		return
	}
	now := a.worker.clock.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reply.Attempted++
	switch {
	case err == nil:
		a.reply.Connected++
		a.second(now).Connected++
		a.reply.Last = max(a.reply.Last, now)
		record(a.latency, now-started)
		a.reply.Recovery.count(c.recovery)
		return
	case !retry:
		a.reply.Failed++
	}
	a.reply.Errors[errorText(err)]++
}

// connect is one attempt: TCP, TLS, handshake, and the protocol's subscription.
func (w *Worker) connect(id int) (*client, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.options.Timeout)
	defer cancel()
	conn, afterHandshake, err := w.dial(ctx, id)
	if err != nil {
		return nil, err
	}
	first, then := w.protocolOf(id).subscribeFrames(w.plan.channelNames(id), w.resumeState(id))
	c, err := w.addClient(id, conn, afterHandshake, then)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if first == nil {
		c.markSubscribed()
	} else if err := c.socket.write(maskedFrame(nil, ws.OpText, first)); err != nil {
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

// dial returns a connection after its handshake, and the bytes that the server sent right behind it.
func (w *Worker) dial(ctx context.Context, id int) (conn net.Conn, afterHandshake []byte, err error) {
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
				InsecureSkipVerify: w.options.InsecureSkipVerify, //nolint:gosec // the user asks for it by name
			})
	}
	handshake := ws.Dialer{Header: ws.HandshakeHeaderHTTP(w.header())}
	handshake.Host = w.options.Header.Get("Host")
	buffered, _, err := handshake.Upgrade(conn, w.protocolOf(id).dialURL(w.url, w.plan.channelName(w.plan.channel(id))))
	if buffered != nil {
		afterHandshake, _ = buffered.Peek(buffered.Buffered())
		afterHandshake = slices.Clone(afterHandshake)
		ws.PutReader(buffered)
	}
	return conn, afterHandshake, err
}

// header returns the user's headers for each handshake, without Host, which the handshake writes itself.
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

// sleep sleeps until a time of the shared clock. It returns false when the worker is cancelled.
func (w *Worker) sleep(until int64) bool { return w.sleepUnless(until, nil) }

// sleepUnless is like sleep, and also returns false when over is closed.
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

// closeError is the close code and the reason with which a server ended a connection.
type closeError struct {
	code   int
	reason string
	// how says what the server sent.
	how string
}

func (e *closeError) Error() string { return fmt.Sprintf("%s: %d %s", e.how, e.code, e.reason) }

// errorText returns an error's text without addresses and ports, so that equal failures are counted together.
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
