package load

import (
	"bytes"
	"strconv"
)

// past is what a client knows when it comes back.
type past struct {
	// last are the last numbers of the channel's publishers.
	last []uint32
	// at is how far it has the channel's stream; without an epoch it was never there.
	at position
	// kept: its positions are kept and sent.
	kept bool
}

// position is a place in a channel's stream.
type position struct {
	epoch  string
	offset uint64
}

// lastFrom is where the last number of a publisher is kept.
func (p *past) lastFrom(slot, slots int) *uint32 {
	if p.last == nil {
		p.last = make([]uint32, slots)
	}
	return &p.last[slot]
}

// pass notes how far a line of the server goes, when that matters.
func (p *past) pass(line []byte) {
	if !p.kept {
		return
	}
	if offset, found := findOffset(line); found {
		p.at.offset = max(p.at.offset, offset)
	}
}

const offsetHead = `"offset":`

// findOffset reads the last offset in a line; messages of this tool have none in them.
func findOffset(line []byte) (offset uint64, found bool) {
	i := bytes.LastIndex(line, []byte(offsetHead))
	if i < 0 {
		return 0, false
	}
	digits := line[i+len(offsetHead):]
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	offset, err := strconv.ParseUint(string(digits[:n]), 10, 64)
	return offset, err == nil
}

// recovery is what a client got back when it subscribed.
type recovery struct {
	// asked: it came with a position. recovered: the server says that nothing is missing.
	asked, recovered bool
	publications     int64
}
