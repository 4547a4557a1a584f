package broker

import (
	"errors"
	"fmt"
)

// A publication travels between gateways as two bytes of header and its data. The version comes
// first, so that gateways of two releases notice each other during a rollout.
const (
	envelopeVersion = 1
	envelopeHeader  = 2
	flagBinary      = 1 << 0
)

// ErrEnvelope is a message in a gateway's channel that no gateway wrote, or a newer one.
var ErrEnvelope = errors.New("unreadable envelope")

// Encode wraps a publication for the way between gateways.
func Encode(p Publication) []byte {
	var flags byte
	if p.Binary {
		flags |= flagBinary
	}
	return append([]byte{envelopeVersion, flags}, p.Data...)
}

// Decode reads what Encode wrote. The data is not copied.
func Decode(b []byte) (Publication, error) {
	switch {
	case len(b) < envelopeHeader:
		return Publication{}, fmt.Errorf("%w: %d bytes are too short", ErrEnvelope, len(b))
	case b[0] != envelopeVersion:
		return Publication{}, fmt.Errorf("%w: version %d, want %d", ErrEnvelope, b[0], envelopeVersion)
	case b[1]&^flagBinary != 0:
		return Publication{}, fmt.Errorf("%w: unknown flags %#x", ErrEnvelope, b[1])
	}
	return Publication{Data: b[envelopeHeader:], Binary: b[1]&flagBinary != 0}, nil
}
