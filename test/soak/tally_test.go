package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// tally counts the outcomes of actions.
type tally struct {
	// mu guards the fields below.
	mu     sync.Mutex
	order  []string
	counts map[string]map[string]int
	wrong  []string
}

func newTally() *tally { return &tally{counts: map[string]map[string]int{}} }

// count counts an action of an actor by its outcome.
func (y *tally) count(actor, what string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.counts[actor] == nil {
		y.counts[actor] = map[string]int{}
		y.order = append(y.order, actor)
		slices.Sort(y.order)
	}
	y.counts[actor][what]++
}

// maxProblems bounds the problems that are kept. One usually explains the others.
const maxProblems = 10

// fail records a failure.
func (y *tally) fail(actor string, err error) {
	y.count(actor, "WRONG")
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.wrong) < maxProblems {
		y.wrong = append(y.wrong, actor+": "+err.Error())
	}
}

func (y *tally) problems() []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.Clone(y.wrong)
}

// totals returns the number of actions of each actor.
func (y *tally) totals() []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var out []string
	for _, actor := range y.order {
		sum := 0
		for _, n := range y.counts[actor] {
			sum += n
		}
		out = append(out, fmt.Sprintf("%s %d", actor, sum))
	}
	return out
}

// String returns all counters as a table.
func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var b strings.Builder
	for _, actor := range y.order {
		fmt.Fprintf(&b, "%-20s", actor)
		var whats []string
		for what := range y.counts[actor] {
			whats = append(whats, what)
		}
		slices.Sort(whats)
		for _, what := range whats {
			fmt.Fprintf(&b, " %s: %d;", what, y.counts[actor][what])
		}
		b.WriteString("\n")
	}
	return b.String()
}
