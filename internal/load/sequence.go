package load

// sequenceResult is the outcome of comparing a message's number with the numbers before it.
type sequenceResult int

const (
	// newest is a number above all numbers so far.
	newest sequenceResult = iota
	// late is a number that arrives for the first time, after a higher one.
	late
	// duplicate is a number that has arrived before.
	duplicate
)

// numberRange is a range of missing numbers, both ends included.
type numberRange struct{ first, last uint32 }

// sequenceKey names the messages of one publisher at one client.
type sequenceKey struct{ client, publisher uint32 }

// sequenceGaps keeps the numbers that are missing below the last one. It is empty while all messages arrive in order:
// then the last number per publisher is all that a client needs.
type sequenceGaps map[sequenceKey][]numberRange

// check compares a number with the last one, and updates *last and the gaps.
func (o sequenceGaps) check(s sequenceKey, last *uint32, number uint32) sequenceResult {
	switch {
	case number == *last+1:
		*last = number
		return newest
	case number > *last:
		o[s] = append(o[s], numberRange{*last + 1, number - 1})
		*last = number
		return newest
	case o.remove(s, number):
		return late
	}
	return duplicate
}

// remove removes a number from the gaps, and reports whether it was in one.
func (o sequenceGaps) remove(s sequenceKey, number uint32) bool {
	spans := o[s]
	for i, gap := range spans {
		if number < gap.first || number > gap.last {
			continue
		}
		var rest []numberRange
		if gap.first < number {
			rest = append(rest, numberRange{gap.first, number - 1})
		}
		if number < gap.last {
			rest = append(rest, numberRange{number + 1, gap.last})
		}
		o[s] = append(append(append([]numberRange(nil), spans[:i]...), rest...), spans[i+1:]...)
		if len(o[s]) == 0 {
			delete(o, s)
		}
		return true
	}
	return false
}
