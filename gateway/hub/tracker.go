package hub

import "github.com/wsfleet/wsfleet/gateway/broker"

// streamTracker tracks how far a channel's stream was delivered by this gateway, and keeps what cannot be delivered
// before something that is missing. It decides and does no I/O. The channelState that owns it holds its mu around every
// call and acts on the answers.
//
// Two sources tell of the stream. Messages come in the order of the stream, but late, and some are lost. A read is true
// for the moment of the read: the stream was not shorter before, nor of another epoch, unless it was rolled back or
// ended.
type streamTracker struct {
	// delivered is the position up to which everything was delivered. Its epoch is empty while nothing is known.
	delivered broker.Position
	// lastMessage is the position of the latest message. A message that is not after it shows that the stream was rolled
	// back.
	lastMessage broker.Position
	// knownTop is the highest offset that the stream of delivered is known to have.
	knownTop uint64
	// ended holds how far streams were delivered that a read has shown to be over, the latest one last. Their messages
	// may still be on their way until a message of the present stream comes.
	ended []broker.Position
	// generation counts how often another stream has replaced the one before.
	generation int
	// rolledBackEpoch is the epoch of a stream that was rolled back: a Redis took over that lacked its end. Each of its
	// offsets may stand for two publications, so that no client can recover in it.
	rolledBackEpoch string
	// recovering counts the subscribers that are reading the stream in order to attach.
	recovering int
	// recent holds what was delivered while recovering was above 0, without a gap and up to delivered.
	recent backlog
	// repairing is true while a repair reads what is missing.
	repairing bool
	// repairAgain is true when more may be missing at the end of the repair than it has read.
	repairAgain bool
	// buffered holds the messages that came during the repair.
	buffered backlog
}

// maxEnded is the maximum number of streams in ended.
const maxEnded = 8

// verdict is what a message is to the stream.
type verdict int

const (
	// verdictNext is the next publication of the stream, or a message outside of any stream.
	verdictNext verdict = iota
	// verdictDelivered is a publication that was delivered already, because a read contained it. Subscribers that
	// attached at an earlier position may lack it.
	verdictDelivered
	// verdictBuffer is a publication that comes during a repair.
	verdictBuffer
	// verdictGap is a publication with something missing before it.
	verdictGap
	// verdictEnded is a publication of a stream that has ended.
	verdictEnded
	// verdictEndedDelivered is a publication of a stream that has ended, delivered before that.
	verdictEndedDelivered
	// verdictNewStream is a publication of another stream than the one before.
	verdictNewStream
	// verdictRolledBack is a publication that shows that the stream was rolled back.
	verdictRolledBack
)

// inStream reports whether a publication has an offset in the channel's stream.
func inStream(p broker.Publication) bool {
	return p.Offset != 0 && p.Kind == broker.KindPublication
}

// classify returns what a message is to the stream now.
func (t *streamTracker) classify(p broker.Publication) verdict {
	if t.repairing && inStream(p) {
		return verdictBuffer
	}
	return t.classifyDelivered(p)
}

// classifyDelivered returns what a message is to what was delivered, whether or not a repair is running.
func (t *streamTracker) classifyDelivered(p broker.Publication) verdict {
	switch {
	case !inStream(p):
		return verdictNext
	case p.Epoch == t.lastMessage.Epoch && p.Offset <= t.lastMessage.Offset:
		return verdictRolledBack
	case t.delivered.Epoch == "":
		return verdictNext
	case p.Epoch != t.delivered.Epoch:
		return t.classifyOtherEpoch(p.Position)
	case p.Offset > t.delivered.Offset+1:
		return verdictGap
	case p.Offset <= t.delivered.Offset:
		return verdictDelivered
	}
	return verdictNext
}

// classifyOtherEpoch returns what a message of another epoch is. Its stream has ended only if a read has shown that
// and no message of the present stream came before it.
func (t *streamTracker) classifyOtherEpoch(at broker.Position) verdict {
	ended := t.endedAt(at.Epoch)
	switch {
	case ended == nil || t.lastMessage.Epoch == t.delivered.Epoch:
		return verdictNewStream
	case at.Offset <= ended.Offset:
		return verdictEndedDelivered
	}
	return verdictEnded
}

// endedAt returns how far the ended stream of an epoch was delivered, or nil when no ended stream has that epoch.
func (t *streamTracker) endedAt(epoch string) *broker.Position {
	for i := range t.ended {
		if t.ended[i].Epoch == epoch {
			return &t.ended[i]
		}
	}
	return nil
}

// buffer keeps a message for after the repair. A message that does not fit is read from the stream later.
func (t *streamTracker) buffer(p broker.Publication) {
	if p.Epoch == t.delivered.Epoch {
		t.knownTop = max(t.knownTop, p.Offset)
	}
	if !t.buffered.add(p) {
		t.repairAgain = true
	}
}

// advance records a publication as delivered. It is the next one, an earlier one once more, or one of an ended stream.
func (t *streamTracker) advance(p broker.Publication) {
	switch {
	case !inStream(p) || p.Epoch == t.delivered.Epoch && p.Offset <= t.delivered.Offset:
		return
	case p.Epoch != t.delivered.Epoch && t.delivered.Epoch != "":
		ended := t.endedAt(p.Epoch)
		ended.Offset = max(ended.Offset, p.Offset)
		return
	}
	t.delivered = p.Position
	t.knownTop = max(t.knownTop, p.Offset)
	if t.recovering > 0 {
		t.recent.push(p)
	}
}

// restart replaces the stream by another one, at a position of it. Messages of the one before count as new streams.
func (t *streamTracker) restart(at broker.Position) {
	t.delivered, t.knownTop, t.ended = at, at.Offset, nil
	t.generation++
	t.recent = backlog{}
}

// replace replaces the stream by one that was read. Messages of the one before may still be on their way.
func (t *streamTracker) replace(at broker.Position) {
	ended := t.ended
	if t.lastMessage.Epoch == t.delivered.Epoch {
		// Messages come in order, so none of an earlier stream can come.
		ended = nil
	}
	ended = append(ended, t.delivered)
	t.restart(at)
	t.ended = ended[max(0, len(ended)-maxEnded):]
}

// skipTo records everything up to an offset as delivered, without what is missing.
func (t *streamTracker) skipTo(offset uint64) {
	t.delivered.Offset, t.knownTop = offset, max(t.knownTop, offset)
	t.recent = backlog{}
}

// beginRecovery begins to keep what is delivered, for a subscriber that reads the stream.
func (t *streamTracker) beginRecovery() { t.recovering++ }

// endRecovery is the end of beginRecovery.
func (t *streamTracker) endRecovery() {
	if t.recovering--; t.recovering == 0 {
		t.recent = backlog{}
	}
}

// snapshot is what was known of a stream when a read of it began. The read cannot be older.
type snapshot struct {
	delivered  broker.Position
	knownTop   uint64
	generation int
}

func (t *streamTracker) snapshot() snapshot {
	return snapshot{delivered: t.delivered, knownTop: t.knownTop, generation: t.generation}
}

// comparison is what a read says of the stream that this gateway delivers.
type comparison int

const (
	// comparisonSame says that the stream is the one that is delivered.
	comparisonSame comparison = iota
	// comparisonUncertain says that the read cannot tell, because too much has changed since it began.
	comparisonUncertain
	// comparisonReplaced says that another stream has taken its place.
	comparisonReplaced
	// comparisonRolledBack says that the stream was rolled back.
	comparisonRolledBack
)

// compare compares a stream whose top was read with the one that is delivered. before is the snapshot from before the
// read.
func (t *streamTracker) compare(before snapshot, top broker.Position) comparison {
	switch {
	case before.generation != t.generation:
		return comparisonUncertain
	case before.delivered.Epoch == "" && top.Epoch != t.delivered.Epoch:
		// The first message may be older or newer than the read.
		return comparisonUncertain
	case top.Epoch != t.delivered.Epoch:
		return comparisonReplaced
	case top.Offset < before.knownTop:
		return comparisonRolledBack
	}
	return comparisonSame
}

// attachPoint returns the position at which a subscriber attaches that has read the stream up to top, and what was
// delivered between top and that position. Both are zero unless the comparison is comparisonSame. The caller must not
// change missed.
func (t *streamTracker) attachPoint(
	before snapshot, top broker.Position,
) (missed []broker.Publication, at broker.Position, c comparison) {
	if t.delivered.Epoch == "" {
		// Everything up to the top is in the stream, and some of it may still be on its way.
		t.delivered, t.knownTop = top, top.Offset
	}
	if c = t.compare(before, top); c != comparisonSame {
		return nil, broker.Position{}, c
	}
	if top.Offset >= t.delivered.Offset {
		t.knownTop = max(t.knownTop, top.Offset)
		return nil, top, comparisonSame
	}
	missed, complete := t.recent.tail(t.delivered.Offset - top.Offset)
	if !complete {
		return nil, broker.Position{}, comparisonUncertain
	}
	return missed, t.delivered, comparisonSame
}

// contiguous reports whether publications follow an offset without a gap.
func contiguous(ps []broker.Publication, after uint64) bool {
	for _, p := range ps {
		if after++; p.Offset != after {
			return false
		}
	}
	return true
}
