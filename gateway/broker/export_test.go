package broker

import "encoding/binary"

// AppendPosition writes what stands in front of the envelope of a publication that has a position, as
// the broker does that appends it to the stream.
func AppendPosition(b []byte, p Position) []byte {
	b = binary.BigEndian.AppendUint64(append(b, positionVersion), p.Offset)
	return append(append(b, byte(len(p.Epoch))), p.Epoch...)
}
