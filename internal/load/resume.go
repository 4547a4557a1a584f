package load

import (
	"bytes"
	"strconv"
)

// resumeState is what a client keeps across reconnects. The mu of the client's shard guards it.
type resumeState struct {
	// lastNumbers are the last message numbers, by the slot of the publisher.
	lastNumbers []uint32
	// position is how far the client has read the channel's stream. Its epoch is empty before the first subscription.
	position position
	// enabled is set when the client keeps its position and recovers from it.
	enabled bool
}

// position is an epoch of a channel's stream and an offset in it.
type position struct {
	epoch  string
	offset uint64
}

// lastNumber returns a pointer to the last number of the publisher with a slot.
func (p *resumeState) lastNumber(slot, slots int) *uint32 {
	if p.lastNumbers == nil {
		p.lastNumbers = make([]uint32, slots)
	}
	return &p.lastNumbers[slot]
}

// advance moves the position to the offset of a publication that the server sent, if the position is kept.
func (p *resumeState) advance(line []byte) {
	if !p.enabled {
		return
	}
	if offset, found := findOffset(line); found {
		p.position.offset = max(p.position.offset, offset)
	}
}

const offsetKey = `"offset":`

// findOffset returns the last offset in a line. The messages of this tool contain none.
func findOffset(line []byte) (offset uint64, found bool) {
	i := bytes.LastIndex(line, []byte(offsetKey))
	if i < 0 {
		return 0, false
	}
	digits := line[i+len(offsetKey):]
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	offset, err := strconv.ParseUint(string(digits[:n]), 10, 64)
	return offset, err == nil
}

// recovery is what a client recovered when it subscribed.
type recovery struct {
	// requested is set when the client sent a position.
	requested bool
	// recovered is set when the server answered that no publication is missing.
	recovered bool
	// publications is the number of publications in the server's answer.
	publications int64
}
