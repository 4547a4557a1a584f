package registry

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/google/uuid"
)

// Instance is one gateway process: another one with every start.
type Instance [6]byte

// NewInstance makes one up.
func NewInstance() (i Instance) {
	_, _ = rand.Read(i[:]) // It never fails.
	return i
}

func (i Instance) String() string { return hex.EncodeToString(i[:]) }

// NewID names a connection: a UUID of version 8 (RFC 9562, section 5.8) that begins with the instance.
// So whoever has the id of a connection knows which gateway to ask; the rest is random, and of no help
// to who wants to guess another.
func (i Instance) NewID() uuid.UUID {
	id := uuid.New()
	copy(id[:], i[:])
	id[6] = id[6]&0x0f | 0x80
	return id
}

// InstanceOf is the gateway that holds, or held, a connection.
func InstanceOf(id uuid.UUID) (i Instance) {
	copy(i[:], id[:])
	return i
}
