package broker

import (
	"context"
	"time"

	"github.com/wsfleet/wsfleet/internal/channel"
)

// Publisher publishes to channels.
type Publisher interface {
	// Publish returns when the broker has taken the publication. The caller may reuse p.Data afterwards, but must not
	// change p.Info and p.Tags. It returns ErrUnavailable when the broker has not taken the publication or when that is
	// not known: with an idempotency key the caller can safely try again. It returns ErrIdempotencyConflict when the key
	// was used with another publication.
	Publish(ctx context.Context, channel string, p Publication, o PublishOptions) (PublishResult, error)
}

// PubSub carries publications from any gateway to all gateways that subscribe to the channel.
type PubSub interface {
	Publisher
	// Subscribe asks for a channel's publications and returns at once. The broker calls confirmed once, when everything
	// that is published from then on will be delivered to the PublicationHandler. A broker that cannot be reached keeps
	// the subscription until Unsubscribe.
	Subscribe(channel string, confirmed func())
	// Lost returns a channel that is closed as soon as the broker is known not to deliver a channel for now. After that
	// has ended Lost returns another one. A nil channel is one that is never closed.
	Lost(channel string) <-chan struct{}
	// Unsubscribe ends a subscription. The broker may still deliver publications that are on their way.
	Unsubscribe(channel string)
}

// PublicationHandler takes the publications of the channels that this gateway subscribes to. The hub implements it.
type PublicationHandler interface {
	// Deliver hands a publication to the subscribers of this gateway. It must not wait for a subscriber. The broker
	// calls it for one channel at a time, in the order of the channel's stream, and for several channels at once.
	Deliver(channel string, p Publication)
	// Resumed reports that the broker delivers a channel again after it has lost its connection: publications of the
	// time between may be missing. It must not block.
	Resumed(channel string)
}

// IdempotencyTTL is how long the result of a publication with an idempotency key is remembered.
const IdempotencyTTL = 5 * time.Minute

// PublishOptions are how a publication is kept.
type PublishOptions struct {
	// History is the channel's, as its rule has it. With a size of 0 the publication is not kept and has no position.
	History channel.History
	// IdempotencyKey makes a repetition within IdempotencyTTL return the result of the first publication without
	// publishing again. Keys of two channels are independent.
	IdempotencyKey string
	// Fingerprint identifies what the key is used for. The zero value stands for the publication's own fingerprint.
	Fingerprint Fingerprint
}

// KeyFingerprint returns the fingerprint that the idempotency key stands for when p is published.
func (o PublishOptions) KeyFingerprint(p Publication) Fingerprint {
	if o.Fingerprint == (Fingerprint{}) {
		return FingerprintOf(p)
	}
	return o.Fingerprint
}

// PublishResult is the outcome of a publication.
type PublishResult struct {
	// Position is zero in a channel without history.
	Position
	// Repeated is true when the publication was published before with the same idempotency key, and not again.
	Repeated bool
}
