package hub

import "github.com/wsfleet/wsfleet/gateway/broker"

// Bounds of a backlog. What it holds is in the stream as well, so nothing is lost for good when one of
// them is met; it has to be read.
const (
	mostKept      = 10_000
	mostKeptBytes = 16 << 20
)

// backlog is publications that are kept in order for somebody who needs them soon.
type backlog struct {
	publications []broker.Publication
	bytes        int
}

func (b *backlog) full() bool {
	return len(b.publications) >= mostKept || b.bytes >= mostKeptBytes
}

// add keeps one more, unless it is full.
func (b *backlog) add(p broker.Publication) bool {
	if b.full() {
		return false
	}
	b.publications = append(b.publications, p)
	b.bytes += len(p.Data)
	return true
}

// push keeps one more, and lets the older half go when it is full. What tail returned stays as it is.
func (b *backlog) push(p broker.Publication) {
	if b.full() {
		var newer backlog
		for _, q := range b.publications[(len(b.publications)+1)/2:] {
			newer.add(q)
		}
		*b = newer
	}
	b.add(p)
}

// first is the oldest.
func (b *backlog) first() (broker.Publication, bool) {
	if len(b.publications) == 0 {
		return broker.Publication{}, false
	}
	return b.publications[0], true
}

// drop lets the oldest go.
func (b *backlog) drop() {
	b.bytes -= len(b.publications[0].Data)
	b.publications[0] = broker.Publication{}
	if b.publications = b.publications[1:]; len(b.publications) == 0 {
		b.publications = nil
	}
}

// tail is the newest n, if there are so many. It must not be changed.
func (b *backlog) tail(n uint64) ([]broker.Publication, bool) {
	have := uint64(len(b.publications))
	if n > have {
		return nil, false
	}
	return b.publications[have-n:], true
}
