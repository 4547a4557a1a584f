package hub

import "github.com/wsfleet/wsfleet/gateway/broker"

// sequence is how far a channel's stream has been delivered here, and what waits because something
// before it is missing. It decides and does no I/O: the topic that owns it locks it and acts.
//
// Two things tell of the stream. Messages come in its order, but some may be lost, and they come late.
// Reads are of the moment at which they are made: the stream cannot have been shorter before, nor of
// another epoch, unless it went back or ended.
type sequence struct {
	// last is the position up to which everything went out. Without an epoch nothing is known yet.
	last broker.Position
	// heard is where the latest message was. One that is not after it says that the stream went back.
	heard broker.Position
	// known is the highest offset that the stream of last is known to have.
	known uint64
	// past is how far the streams before had come when reads said that they are over, the latest last.
	// Their messages may still be on their way, until one of the new stream comes.
	past []broker.Position
	// restarts counts how often another stream took the place of the one before.
	restarts int
	// wentBack is an epoch whose offsets mean two things each: what was published, and what was published
	// again after a Redis took over that had not heard of it. Nobody can recover in it.
	wentBack string
	// joining counts members that are reading the stream; recent is what went out meanwhile, without a
	// gap and up to last.
	joining int
	recent  backlog
	// repairing: what is missing is being read, and waiting comes after it. unsettled: by the time that it
	// ends more may be missing.
	repairing, unsettled bool
	waiting              backlog
}

// mostPast is how many streams may end before a message of the latest comes.
const mostPast = 8

// verdict is what a message is to the stream.
type verdict int

const (
	// verdictPass: it is the next one, or in no stream.
	verdictPass verdict = iota
	// verdictLate: it went out already, as part of what was read. Who came later may lack it.
	verdictLate
	// verdictWait: it comes after something that is being read.
	verdictWait
	// verdictGap: something before it is missing.
	verdictGap
	// verdictPast: it is of a stream that is over, and verdictGone that it went out before that.
	verdictPast
	verdictGone
	// verdictOther: it is of another stream than the one before.
	verdictOther
	// verdictBack: the stream went back.
	verdictBack
)

// inStream tells whether a publication has a place in the channel's stream.
func inStream(p broker.Publication) bool {
	return p.Offset != 0 && p.Kind == broker.KindPublication
}

// judge says what a message is to the stream now, and place what it is when it is its turn.
func (s *sequence) judge(p broker.Publication) verdict {
	if s.repairing && inStream(p) {
		return verdictWait
	}
	return s.place(p)
}

func (s *sequence) place(p broker.Publication) verdict {
	switch {
	case !inStream(p):
		return verdictPass
	case p.Epoch == s.heard.Epoch && p.Offset <= s.heard.Offset:
		return verdictBack
	case s.last.Epoch == "":
		return verdictPass
	case p.Epoch != s.last.Epoch:
		return s.placeOther(p.Position)
	case p.Offset > s.last.Offset+1:
		return verdictGap
	case p.Offset <= s.last.Offset:
		return verdictLate
	}
	return verdictPass
}

// placeOther is for a message of another stream. It is an older one only if a read has said so and
// nothing of the new one came before it.
func (s *sequence) placeOther(at broker.Position) verdict {
	past := s.pastOf(at.Epoch)
	switch {
	case past == nil || s.heard.Epoch == s.last.Epoch:
		return verdictOther
	case at.Offset <= past.Offset:
		return verdictGone
	}
	return verdictPast
}

func (s *sequence) pastOf(epoch string) *broker.Position {
	for i := range s.past {
		if s.past[i].Epoch == epoch {
			return &s.past[i]
		}
	}
	return nil
}

// wait keeps a message for after the repair. What there is no room for is still in the stream.
func (s *sequence) wait(p broker.Publication) {
	if p.Epoch == s.last.Epoch {
		s.known = max(s.known, p.Offset)
	}
	if !s.waiting.add(p) {
		s.unsettled = true
	}
}

// advance records a publication as gone out. It is the next one, or an earlier one once more, or one of
// the stream before.
func (s *sequence) advance(p broker.Publication) {
	switch {
	case !inStream(p) || p.Epoch == s.last.Epoch && p.Offset <= s.last.Offset:
		return
	case p.Epoch != s.last.Epoch && s.last.Epoch != "":
		past := s.pastOf(p.Epoch)
		past.Offset = max(past.Offset, p.Offset)
		return
	}
	s.last = p.Position
	s.known = max(s.known, p.Offset)
	if s.joining > 0 {
		s.recent.push(p)
	}
}

// restart puts another stream in the place of the one before, and replace one that was read.
func (s *sequence) restart(at broker.Position) {
	s.last, s.known, s.past = at, at.Offset, nil
	s.restarts++
	s.recent = backlog{}
}

func (s *sequence) replace(at broker.Position) {
	past := s.past
	if s.heard.Epoch == s.last.Epoch {
		// Messages are in order: none from further back can come.
		past = nil
	}
	past = append(past, s.last)
	s.restart(at)
	s.past = past[max(0, len(past)-mostPast):]
}

// skip goes on in the same stream without what is missing.
func (s *sequence) skip(to uint64) {
	s.last.Offset, s.known = to, max(s.known, to)
	s.recent = backlog{}
}

// join begins to keep what goes out, for a member that reads the stream; joined ends it.
func (s *sequence) join() { s.joining++ }

func (s *sequence) joined() {
	if s.joining--; s.joining == 0 {
		s.recent = backlog{}
	}
}

// mark is what was known of a stream when a read of it began: what is read cannot be older.
type mark struct {
	last     broker.Position
	known    uint64
	restarts int
}

func (s *sequence) mark() mark {
	return mark{last: s.last, known: s.known, restarts: s.restarts}
}

// finding is what a read says of the stream.
type finding int

const (
	// findingSame: it is the one that is delivered here.
	findingSame finding = iota
	// findingUnsure: so much has changed since the read began that nobody can tell.
	findingUnsure
	// findingOther: another stream has taken its place.
	findingOther
	// findingBack: it went back.
	findingBack
)

// compare says what the top of a stream is to the sequence, when its read began at the mark.
func (s *sequence) compare(m mark, top broker.Position) finding {
	switch {
	case m.restarts != s.restarts:
		return findingUnsure
	case m.last.Epoch == "" && top.Epoch != s.last.Epoch:
		// The first message here may be older or newer than the read.
		return findingUnsure
	case top.Epoch != s.last.Epoch:
		return findingOther
	case top.Offset < m.known:
		return findingBack
	}
	return findingSame
}

// meet says where a member that read the stream begins, and what it lacks of what went out here since.
func (s *sequence) meet(m mark, top broker.Position) (missing []broker.Publication, at broker.Position, f finding) {
	if s.last.Epoch == "" {
		// Everything up to the top is in the stream, and some of it may still be on its way.
		s.last, s.known = top, top.Offset
	}
	if f = s.compare(m, top); f != findingSame {
		return nil, broker.Position{}, f
	}
	if top.Offset >= s.last.Offset {
		s.known = max(s.known, top.Offset)
		return nil, top, findingSame
	}
	missing, whole := s.recent.tail(s.last.Offset - top.Offset)
	if !whole {
		return nil, broker.Position{}, findingUnsure
	}
	return missing, s.last, findingSame
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
