package load

// arrival is what a message's number says about how it came.
type arrival int

const (
	// fresh is a message that comes for the first time, and after all that were before it.
	fresh arrival = iota
	// late came for the first time, after one that was published after it.
	late
	// duplicate came before.
	duplicate
)

// span is a range of numbers that were passed over, both included.
type span struct{ first, last uint32 }

// stream is the messages of one publisher at one client.
type stream struct{ client, publisher uint32 }

// order keeps what did not come in order. It is empty while a server makes no mistake: then a client
// needs the last number per publisher and nothing else.
type order map[stream][]span

// check compares a number with the last one.
func (o order) check(s stream, last *uint32, number uint32) arrival {
	switch {
	case number == *last+1:
		*last = number
		return fresh
	case number > *last:
		o[s] = append(o[s], span{*last + 1, number - 1})
		*last = number
		return fresh
	case o.fill(s, number):
		return late
	}
	return duplicate
}

// fill takes a number out of those that were passed over.
func (o order) fill(s stream, number uint32) bool {
	spans := o[s]
	for i, gap := range spans {
		if number < gap.first || number > gap.last {
			continue
		}
		var rest []span
		if gap.first < number {
			rest = append(rest, span{gap.first, number - 1})
		}
		if number < gap.last {
			rest = append(rest, span{number + 1, gap.last})
		}
		o[s] = append(append(append([]span(nil), spans[:i]...), rest...), spans[i+1:]...)
		if len(o[s]) == 0 {
			delete(o, s)
		}
		return true
	}
	return false
}
