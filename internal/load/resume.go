package load

import (
	"bytes"
	"strconv"
)

// resumeState is what a client keeps across reconnects. The mu of the client's shard guards it.
type resumeState struct {
	// lastNumbers are the last message numbers, by the subscription and the slot of the publisher.
	lastNumbers []uint32
	// positions are how far the client has read the stream of each subscription's channel. An epoch is empty before the
	// first subscription. They are nil when the client does not recover.
	positions []position
	// toldComplete is set from an answer that no publication is missing until the first message behind that answer.
	toldComplete bool
	// falseGaps are the numbers that were missing nevertheless, when they were noticed.
	falseGaps []numberRange
}

// newResumeState returns that of a client that keeps its positions and recovers from them.
func newResumeState(subscriptions int) *resumeState {
	return &resumeState{positions: make([]position, subscriptions)}
}

// enabled reports whether the client keeps its positions and recovers from them.
func (p *resumeState) enabled() bool { return p.positions != nil }

// position is an epoch of a channel's stream and an offset in it.
type position struct {
	epoch  string
	offset uint64
}

// lastNumber returns a pointer to the last number of one of the publishers, which are subscriptions x slots.
func (p *resumeState) lastNumber(publisher, publishers int) *uint32 {
	if p.lastNumbers == nil {
		p.lastNumbers = make([]uint32, publishers)
	}
	return &p.lastNumbers[publisher]
}

// advance moves the position of a subscription to the offset of a publication that the server sent.
func (p *resumeState) advance(subscription int, line []byte) {
	if offset, found := findOffset(line); found {
		at := &p.positions[subscription]
		at.offset = max(at.offset, offset)
	}
}

// noticeGap notes the numbers that are missing between two messages although the server said that none is. inAnswer
// says that the second one is a part of that answer.
func (p *resumeState) noticeGap(before, number uint32, inAnswer bool) {
	if !p.toldComplete || number <= before {
		// A message that comes again says nothing of what is between the two.
		return
	}
	if number > before+1 {
		p.falseGaps = append(p.falseGaps, numberRange{before + 1, number - 1})
	}
	p.toldComplete = inAnswer
}

const (
	offsetKey  = `"offset":`
	channelKey = `"channel":"`
)

// findChannel returns the channel of a publication that the server sent. The names of this tool's channels need no
// escapes.
func findChannel(line []byte) (name []byte, found bool) {
	_, rest, found := bytes.Cut(line, []byte(channelKey))
	name, _, ends := bytes.Cut(rest, []byte{'"'})
	return name, found && ends
}

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
	// recovered is set when the server answered that no publication is missing, in each channel with a position.
	recovered bool
	// publications is the number of publications in the server's answers.
	publications int64
}

// add adds the answer to a subscription that was requested from a position.
func (r *recovery) add(s *subscribeResult) {
	r.recovered = s.Recovered && (r.recovered || !r.requested)
	r.requested = true
	r.publications += int64(len(s.Publications))
}
