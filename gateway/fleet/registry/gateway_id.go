package registry

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/google/uuid"
)

// GatewayID identifies one gateway process in the fleet. A process that starts again has another one.
type GatewayID [6]byte

// NewGatewayID returns a random GatewayID.
func NewGatewayID() (id GatewayID) {
	_, _ = rand.Read(id[:]) // It never fails.
	return id
}

// String returns the id as 12 hexadecimal digits. The broker's directory and RPC messages carry it in this form.
func (id GatewayID) String() string { return hex.EncodeToString(id[:]) }

// NewID returns the id of a new connection: a UUID of version 8 (RFC 9562, section 5.8) that begins with the id of its
// gateway, so that a connection's id tells which gateway to call. The other bits are random: an id does not help to
// guess another one.
func (id GatewayID) NewID() uuid.UUID {
	connection := uuid.New()
	copy(connection[:], id[:])
	connection[6] = connection[6]&0x0f | 0x80
	return connection
}

// GatewayOf returns the id of the gateway that made the connection id in NewID. It returns an id that no gateway has
// for any other UUID.
func GatewayOf(connection uuid.UUID) (id GatewayID) {
	copy(id[:], connection[:])
	return id
}
