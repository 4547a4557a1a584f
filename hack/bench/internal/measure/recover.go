package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/sleep"
)

// The numbers of messages of a channel that a client has already, and that it recovers when it subscribes.
const (
	had    = 10
	missed = 10
)

// lastID is the id of the command whose answer ends an exchange.
const lastID = 999

// recovering counts subscriptions that recover missed messages, per second of the server's CPU time. The time includes
// an unsubscribe in the same frame.
func recovering(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	returners, err := s.recoveringClients(ctx, to.Address)
	defer func() {
		for _, r := range returners {
			_ = r.conn.CloseNow()
		}
	}()
	if err != nil {
		return nil, err
	}
	var count atomic.Int64
	var over atomic.Bool
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range returners {
		group.Go(func() error { return r.recoverRepeatedly(ctx, &over, &count) })
	}
	used, err := countPerCPUSecond(ctx, s, to.PID, &count)
	over.Store(true)
	if err := errors.Join(group.Wait(), err); err != nil {
		return nil, err
	}
	return Values{"recover-10": used}, nil
}

// countPerCPUSecond returns the increase of count during the measured time, per second of the process's CPU time.
func countPerCPUSecond(ctx context.Context, s Settings, pid int, count *atomic.Int64) (float64, error) {
	if err := sleep.For(ctx, s.Warmup); err != nil {
		return 0, err
	}
	first := count.Load()
	before, err := cpuOf(pid)
	if err != nil {
		return 0, err
	}
	if err := sleep.For(ctx, s.Duration); err != nil {
		return 0, err
	}
	after, err := cpuOf(pid)
	if err != nil {
		return 0, err
	}
	if after == before {
		return 0, errors.New("the server has not used any time that could be measured")
	}
	return float64(count.Load()-first) / (after - before), nil
}

// recoveringClient is a client that has missed messages of its own channel.
type recoveringClient struct {
	conn  *websocket.Conn
	frame []byte
}

func (s Settings) recoveringClients(ctx context.Context, address string) (all []*recoveringClient, err error) {
	for i := range s.Recovering {
		c, _, err := websocket.Dial(ctx, "ws://"+address+contract.PathCentrifuge, nil)
		if err != nil {
			return all, err
		}
		r := &recoveringClient{conn: c}
		all = append(all, r)
		if err := r.prepare(ctx, fmt.Sprintf("recover-%d", i), s.MessageBytes); err != nil {
			return all, fmt.Errorf("prepare to recover: %w", err)
		}
	}
	return all, nil
}

// prepare publishes to the channel, and keeps the position of a client that has missed some of the messages.
func (r *recoveringClient) prepare(ctx context.Context, channel string, size int) error {
	commands := append(make([]string, 0, had+missed+3), `{"id":1,"connect":{}}`,
		fmt.Sprintf(`{"id":2,"subscribe":{"channel":%q,"recoverable":true}}`, channel))
	data := strings.Repeat("x", size-len(`""`))
	for n := range had + missed {
		commands = append(commands, fmt.Sprintf(`{"id":%d,"publish":{"channel":%q,"data":%q}}`, 3+n, channel, data))
	}
	commands = append(commands, fmt.Sprintf(`{"id":%d,"unsubscribe":{"channel":%q}}`, lastID, channel))
	if err := r.conn.Write(ctx, websocket.MessageText, []byte(strings.Join(commands, "\n"))); err != nil {
		return err
	}
	epoch := ""
	err := r.until(ctx, func(line []byte) {
		var reply struct{ Subscribe *struct{ Epoch string } }
		if json.Unmarshal(line, &reply) == nil && reply.Subscribe != nil {
			epoch = reply.Subscribe.Epoch
		}
	})
	if err != nil {
		return err
	}
	r.frame = fmt.Appendf(nil,
		`{"id":100,"subscribe":{"channel":%q,"recover":true,"epoch":%q,"offset":%d}}`+"\n"+
			`{"id":%d,"unsubscribe":{"channel":%q}}`,
		channel, epoch, had, lastID, channel)
	return nil
}

// recoverRepeatedly subscribes and unsubscribes until over is set.
func (r *recoveringClient) recoverRepeatedly(ctx context.Context, over *atomic.Bool, count *atomic.Int64) error {
	for !over.Load() {
		if err := r.conn.Write(ctx, websocket.MessageText, r.frame); err != nil {
			return err
		}
		recovered := 0
		err := r.until(ctx, func(line []byte) {
			if bytes.Contains(line, []byte(`"recovered":true`)) {
				recovered = bytes.Count(line, []byte(`"data":`))
			}
		})
		if err != nil {
			return err
		}
		if recovered != missed {
			return fmt.Errorf("a client got %d messages instead of the %d that it had missed", recovered, missed)
		}
		count.Add(1)
	}
	return nil
}

// until reads lines up to the answer to the last command, and calls each with them.
func (r *recoveringClient) until(ctx context.Context, each func(line []byte)) error {
	last := fmt.Appendf(nil, `{"id":%d,`, lastID)
	for {
		_, frame, err := r.conn.Read(ctx)
		if err != nil {
			return err
		}
		for line := range bytes.SplitSeq(frame, []byte("\n")) {
			if string(line) == "{}" {
				if err := r.conn.Write(ctx, websocket.MessageText, line); err != nil {
					return err
				}
			}
			each(line)
			if bytes.HasPrefix(line, last) {
				return nil
			}
		}
	}
}
