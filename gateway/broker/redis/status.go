package redis

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// errNoProbe is the error before the first probe has come back.
var errNoProbe = errors.New("no message has come back from Redis yet")

// Status implements broker.Broker: it is ready while probes come back on every connection.
func (b *Broker) Status() broker.Status {
	b.mu.Lock()
	state := b.state
	b.mu.Unlock()
	if state == contract.BrokerReady {
		return broker.Status{State: state}
	}
	err := b.connError()
	if err == nil {
		// The connections have come back since state was read.
		err = errNoProbe
	}
	return broker.Status{State: state, Reason: reasonOf(err), Err: err}
}

// connError returns the error of the first connection that is down, or nil.
func (b *Broker) connError() error {
	for _, l := range b.conns {
		if up, err := l.status(); !up {
			return err
		}
	}
	return nil
}

// isAnyLost reports whether a connection is down because of an error.
func (b *Broker) isAnyLost() bool {
	return slices.ContainsFunc(b.conns, func(l *pubSubConn) bool {
		up, err := l.status()
		return !up && !errors.Is(err, errNoProbe)
	})
}

// warnUnreached logs why Redis has not been reached yet. A user that runs a gateway by hand learns of a wrong address
// or password only here.
func (b *Broker) warnUnreached(err error) {
	b.mu.Lock()
	never := b.state == contract.BrokerConnecting
	b.mu.Unlock()
	if !never {
		return
	}
	b.unreachable.Warn("broker not reached yet: check "+contract.KeyRedisAddresses+", "+
		contract.KeyRedisUsername+" and "+contract.KeyRedisPassword,
		slog.Any("addresses", b.options.Addresses), slog.Any("error", err))
}

// review computes the state after a connection has changed.
func (b *Broker) review() {
	// Locked before the connections are read, so that the latest review has the latest states.
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.connError()
	b.loss.set(b.isAnyLost())
	was := b.state
	switch {
	case err == nil:
		b.state = contract.BrokerReady
	case was == contract.BrokerReady:
		b.state = contract.BrokerDegraded
	}
	if b.state == was {
		return
	}
	if err != nil {
		b.options.Logger.Warn("broker lost: clients stay, messages do not pass", slog.Any("error", err))
		return
	}
	b.options.Logger.Info("broker ready")
}
