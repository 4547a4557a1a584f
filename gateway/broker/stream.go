package broker

import (
	"crypto/sha256"
	"math/rand/v2"
	"time"

	"github.com/wsfleet/wsfleet/internal/channel"
)

const (
	epochLetters = "0123456789abcdefghijklmnopqrstuvwxyz"
	epochLength  = 8
)

// NewEpoch names an epoch. Nobody gains by guessing it; it must only not come twice.
func NewEpoch() string {
	var name [epochLength]byte
	for i := range name {
		name[i] = epochLetters[rand.IntN(len(epochLetters))]
	}
	return string(name[:])
}

// leastPositionTTL is how long a stream's position is kept at least.
const leastPositionTTL = 24 * time.Hour

// EmptyTTL is how long the epoch of a stream without a publication is kept after somebody looked. Clients
// can look at as many as they can think of names for.
const EmptyTTL = 10 * time.Minute

// PositionTTL is how long a stream's epoch and top offset are kept after the latest publication. They
// outlive the publications: a client that missed nothing can still be told so.
func PositionTTL(h channel.History) time.Duration {
	return max(leastPositionTTL, 2*time.Duration(h.TTL))
}

// Fingerprint is what an idempotency key was used for.
type Fingerprint [16]byte

// FingerprintOf tells publications with another Data or Binary apart.
func FingerprintOf(p Publication) Fingerprint {
	h := sha256.New()
	var kind byte
	if p.Binary {
		kind = 1
	}
	_, _ = h.Write([]byte{kind})
	_, _ = h.Write(p.Data)
	return Fingerprint(h.Sum(nil)[:len(Fingerprint{})])
}
