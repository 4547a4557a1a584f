package redis

import (
	"errors"
	"log/slog"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// errNoProbe is the reason before there is any other.
var errNoProbe = errors.New("no message has come back from Redis yet")

// Status implements broker.Broker: ready while messages come back on every link.
func (b *Broker) Status() broker.Status {
	b.mu.Lock()
	state := b.state
	b.mu.Unlock()
	if state == contract.BrokerReady {
		return broker.Status{State: state}
	}
	err := b.linkError()
	if err == nil {
		// The connections came back between the two looks, or have no error yet.
		err = errNoProbe
	}
	return broker.Status{State: state, Reason: reasonOf(err), Err: err}
}

// linkError is why the first link that is down is down.
func (b *Broker) linkError() error {
	for _, l := range b.links {
		if up, err := l.status(); !up {
			return err
		}
	}
	return nil
}

// unreached says why there is no Redis yet. Whoever set up a gateway by hand sees nothing else of a
// wrong address or password.
func (b *Broker) unreached(err error) {
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

// review decides the state anew after a link changed.
func (b *Broker) review() {
	// Locked before the links are asked, so that the latest review has the latest answers.
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.linkError()
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
