package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// tally counts what actors saw.
type tally struct {
	mu     sync.Mutex
	order  []string
	counts map[string]map[string]int
	wrong  []string
}

func newTally() *tally { return &tally{counts: map[string]map[string]int{}} }

// saw counts an actor's turn by how it ended.
func (y *tally) saw(actor, what string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.counts[actor] == nil {
		y.counts[actor] = map[string]int{}
		y.order = append(y.order, actor)
		slices.Sort(y.order)
	}
	y.counts[actor][what]++
}

// most is how many problems are kept: one usually explains the others.
const most = 10

// fail notes what no client should see.
func (y *tally) fail(actor string, err error) {
	y.saw(actor, "WRONG")
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.wrong) < most {
		y.wrong = append(y.wrong, actor+": "+err.Error())
	}
}

func (y *tally) problems() []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.Clone(y.wrong)
}

// short is one number per actor.
func (y *tally) short() []string {
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

// String is the table of everything.
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
