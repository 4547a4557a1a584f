package hub

import "github.com/wsfleet/wsfleet/gateway/broker"

// The bounds of a backlog, in publications and in bytes of data. What a backlog drops is in the stream as well, so that
// nothing is lost when a bound is met: it has to be read.
const (
	maxBacklog      = 10_000
	maxBacklogBytes = 16 << 20
)

// backlog keeps publications in order for a moment.
type backlog struct {
	publications []broker.Publication
	bytes        int
}

// full reports whether a bound is met.
func (b *backlog) full() bool {
	return len(b.publications) >= maxBacklog || b.bytes >= maxBacklogBytes
}

// add appends a publication. It reports false when the backlog is full.
func (b *backlog) add(p broker.Publication) bool {
	if b.full() {
		return false
	}
	b.publications = append(b.publications, p)
	b.bytes += len(p.Data)
	return true
}

// push appends a publication, and drops the older half first when the backlog is full. It does not change slices that
// tail has returned.
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

// first returns the oldest publication, or false when there is none.
func (b *backlog) first() (broker.Publication, bool) {
	if len(b.publications) == 0 {
		return broker.Publication{}, false
	}
	return b.publications[0], true
}

// drop removes the oldest publication.
func (b *backlog) drop() {
	b.bytes -= len(b.publications[0].Data)
	b.publications[0] = broker.Publication{}
	if b.publications = b.publications[1:]; len(b.publications) == 0 {
		b.publications = nil
	}
}

// tail returns the newest n publications, or false when there are fewer. The caller must not change them.
func (b *backlog) tail(n uint64) ([]broker.Publication, bool) {
	have := uint64(len(b.publications))
	if n > have {
		return nil, false
	}
	return b.publications[have-n:], true
}
