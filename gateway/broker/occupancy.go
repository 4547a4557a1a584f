package broker

import (
	"context"
	"time"
)

// Occupancy knows which channels have subscribers on which gateways.
type Occupancy interface {
	// Occupy records for a TTL that this gateway has subscribers of these channels, and returns the channels that had no
	// subscribers on any gateway before. When the broker cannot be reached for a part of the channels, Occupy returns
	// ErrUnavailable together with the results of the others.
	Occupy(ctx context.Context, channels []string, ttl time.Duration) (occupied []string, err error)
	// Vacate records that this gateway has no subscribers of these channels, and returns the channels that have no
	// subscribers on any gateway now. A channel that was not occupied is returned as well, so that a caller that tries
	// again after an error does not miss it. When the broker cannot be reached for a part of the channels, Vacate returns
	// ErrUnavailable together with the results of the others.
	Vacate(ctx context.Context, channels []string) (vacated []string, err error)
	// VacateExpired removes and returns channels whose TTL, as given to Occupy, is over because their gateways have gone
	// without Vacate. Each call returns a bounded number of channels; no channels means that there are no more. A channel
	// is returned once, to the gateway that calls first, unless a gateway occupies it before.
	//
	// While the broker could not be reached no gateway could renew. Therefore it returns nothing before gateways have
	// called it for half a TTL without a pause of more than a quarter of it. A broker of a single gateway returns
	// nothing: there are no other gateways whose channels could expire. It returns ErrUnavailable when the broker cannot
	// be reached; the channels of an answer that is lost are not returned again.
	VacateExpired(ctx context.Context, ttl time.Duration) (vacated []string, err error)
}
