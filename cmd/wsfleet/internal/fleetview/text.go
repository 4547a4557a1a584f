package fleetview

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// none stands for what is not known, and for what there is none of.
const none = "-"

// WriteText writes the fleet as a head and a table of its gateways. It returns the error of w.
func (f Fleet) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Fleet:        %s/%s\n", f.Namespace, f.Name)
	fmt.Fprintf(&b, "Gateways:     %d of %d serve\n", f.Ready, f.Size)
	fmt.Fprintf(&b, "Connections:  %s\n", ofCapacity(f.Connections, f.Capacity))
	for _, note := range f.Notes {
		fmt.Fprintf(&b, "Note:         %s\n", note)
	}
	if f.hasConditions {
		writeConditions(&b, f.Conditions)
	}
	if len(f.Gateways) == 0 {
		b.WriteString("\nThere are no gateway pods.\n")
	} else {
		b.WriteString("\n")
		table := newTable(&b, "POD", "NODE", "ZONE", "STATE", "CONNECTIONS", "ACCEPTS/S", "BACKPLANE", "AGE")
		for _, g := range f.Gateways {
			table.row(g.Pod, g.Node, g.Zone, g.stateText(f.now), g.connectionsText(), g.connectRateText(), g.Backplane,
				age(g.CreatedAt, f.now))
		}
		table.flush()
		f.writeDetails(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err //nolint:wrapcheck // the caller's own writer
}

// writeDetails writes below the table why gateways are not up, which may be long.
func (f Fleet) writeDetails(b *strings.Builder) {
	gap := "\n"
	for _, g := range f.Gateways {
		if g.Detail != "" {
			fmt.Fprintf(b, "%s%s is %s: %s\n", gap, g.Pod, g.State, g.Detail)
			gap = ""
		}
	}
}

// ofCapacity returns a number of connections, and how much of a capacity that is.
func ofCapacity(connections, capacity int64) string {
	if capacity == 0 {
		return fmt.Sprintf("%d, and no gateway takes more", connections)
	}
	return fmt.Sprintf("%d of %d (%.0f %%)", connections, capacity, 100*float64(connections)/float64(capacity))
}

func writeConditions(b *strings.Builder, conditions []Condition) {
	if len(conditions) == 0 {
		b.WriteString("Conditions:   all as in a fleet at rest\n")
		return
	}
	b.WriteString("Conditions:\n")
	table := newTable(b)
	for _, c := range conditions {
		table.row("  "+c.Type, string(c.Status), c.Reason, c.Message)
	}
	table.flush()
}

// WriteText writes the fleets as a table. It returns the error of w.
func (l FleetList) WriteText(w io.Writer) error {
	var b strings.Builder
	table := newTable(&b, "NAME", "READY", "CONNECTIONS", "DRAINING", "NOT AS AT REST")
	for _, f := range l.Items {
		unusual := make([]string, 0, len(f.Conditions))
		for _, c := range f.Conditions {
			unusual = append(unusual, c.Type+" ("+c.Reason+")")
		}
		table.row(f.Name, f.Ready, fmt.Sprintf("%d/%d", f.Connections, f.Capacity), strconv.Itoa(f.Draining),
			strings.Join(unusual, ", "))
	}
	table.flush()
	_, err := io.WriteString(w, b.String())
	return err //nolint:wrapcheck // the caller's own writer
}

// stateText returns the state, and for a drain its reason, its pace and how long it takes.
func (g Gateway) stateText(now time.Time) string {
	switch {
	case g.State == StateDraining && g.Drain != nil:
		return "draining: " + g.Drain.text(now)
	case g.State == StateDrained && g.Drain != nil:
		return "drained: " + g.Drain.Reason
	}
	return string(g.State)
}

// text returns the reason of a drain, and how far it is.
func (d Drain) text(now time.Time) string {
	if d.WaitsForAnother {
		return fmt.Sprintf("%s, waits until another gateway serves, %s at most", d.Reason, left(d.Deadline, now))
	}
	pace := ""
	if d.ClosesPerSecond > 0 {
		pace = fmt.Sprintf(", %s closes/s", rate(d.ClosesPerSecond))
	}
	if d.EndsAt == nil {
		return d.Reason + pace
	}
	return fmt.Sprintf("%s%s, about %s left", d.Reason, pace, left(*d.EndsAt, now))
}

// left returns the time until a time, in whole seconds.
func left(until, now time.Time) string {
	return max(0, until.Sub(now)).Round(time.Second).String()
}

// rate returns a number per second with a digit after the point where that matters.
func rate(perSecond float64) string {
	if perSecond >= 10 || perSecond == math.Trunc(perSecond) {
		return strconv.FormatFloat(perSecond, 'f', 0, 64)
	}
	return strconv.FormatFloat(perSecond, 'f', 1, 64)
}

func (g Gateway) connectionsText() string {
	if g.Connections == nil {
		return none
	}
	return fmt.Sprintf("%d/%d", *g.Connections, *g.MaxConnections)
}

func (g Gateway) connectRateText() string {
	if g.ConnectRate == nil {
		return none
	}
	return rate(*g.ConnectRate)
}

// age returns how long ago a time is, as kubectl prints it.
func age(since, now time.Time) string {
	if since.IsZero() {
		return none
	}
	return duration.HumanDuration(now.Sub(since))
}

// table writes rows whose columns have the same width.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	const padding = 3
	t := table{tabwriter.NewWriter(w, 0, 0, padding, ' ', 0)}
	if len(head) > 0 {
		t.row(head...)
	}
	return t
}

// row writes one row. An empty cell gets a dash.
func (t table) row(cells ...string) {
	for i, cell := range cells {
		if cell == "" {
			cells[i] = none
		}
	}
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t table) flush() { _ = t.w.Flush() }

// Fit cuts text to a terminal's size, so that it can be drawn over what was drawn before.
func Fit(text string, width, height int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if height > 1 && len(lines) > height-1 {
		more := len(lines) - (height - 2)
		lines = append(lines[:height-2], fmt.Sprintf("... and %d more lines", more))
	}
	for i, line := range lines {
		if runes := []rune(line); width > 0 && len(runes) > width {
			lines[i] = string(runes[:width])
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
