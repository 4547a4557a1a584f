package simulate

import (
	"container/heap"
	"time"
)

// slot is a moment of virtual time, in units of slotLength since the start. Things that happen within one slot happen
// at its beginning.
type slot int64

const (
	slotLength     = 100 * time.Millisecond
	slotsPerSecond = slot(time.Second / slotLength)
)

// epoch is the time of slot 0. Any time would do.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// slots returns a duration in slots, rounded to the nearest.
func slots(d time.Duration) slot { return slot((d + slotLength/2) / slotLength) }

// time returns the moment as the planner and the pace of drains see it.
func (s slot) time() time.Time { return epoch.Add(time.Duration(s) * slotLength) }

// seconds returns the virtual time since the start in seconds.
func (s slot) seconds() float64 { return float64(s) / float64(slotsPerSecond) }

// timer calls a function in a slot.
type timer struct {
	at slot
	// number keeps timers of one slot in the order in which they were set.
	number int64
	call   func()
}

// timers is a heap of timers, the next one first.
type timers struct {
	all []timer
	set int64
}

func (t *timers) Len() int { return len(t.all) }
func (t *timers) Less(i, j int) bool {
	a, b := &t.all[i], &t.all[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}
func (t *timers) Swap(i, j int) { t.all[i], t.all[j] = t.all[j], t.all[i] }
func (t *timers) Push(x any)    { t.all = append(t.all, x.(timer)) }
func (t *timers) Pop() any {
	last := t.all[len(t.all)-1]
	t.all = t.all[:len(t.all)-1]
	return last
}

// add calls a function in a slot, or as soon as that slot is over.
func (t *timers) add(at slot, call func()) {
	t.set++
	heap.Push(t, timer{at, t.set, call})
}

// run calls the functions that are due.
func (t *timers) run(now slot) {
	for len(t.all) > 0 && t.all[0].at <= now {
		heap.Pop(t).(timer).call()
	}
}
