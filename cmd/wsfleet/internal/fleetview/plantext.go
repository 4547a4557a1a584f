package fleetview

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxVictims is the number of gateways that the text lists in the order in which they would go.
const maxVictims = 10

// WriteText writes the plan as sentences and a table of the gateways that would go first. It returns the error of w.
func (p Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Fleet:     %s/%s\n", p.Namespace, p.Name)
	fmt.Fprintf(&b, "Size:      %d wanted (%s), %d by the Deployment, %d pods\n", p.Size.Desired, p.Size.Why,
		p.Size.Deployment, p.Size.Pods)
	p.Size.Autoscaler.write(&b)
	if r := p.Rollout; r != nil {
		fmt.Fprintf(&b, "Rollout:   %d of %d pods are of the new version, about %s left\n", r.Updated, r.Total,
			time.Duration(r.SecondsLeft)*time.Second)
	}
	writeList(&b, "Next:", p.Next, "nothing: the gateways stay as they are")
	writeList(&b, "Waits:", p.Waits, "nothing")
	p.Pace.write(&b)
	if len(p.Notes) > 0 {
		writeList(&b, "Notes:", p.Notes, "")
	}
	p.writeVictims(&b)
	_, err := io.WriteString(w, b.String())
	return err //nolint:wrapcheck // the caller's own writer
}

func (a *Autoscaler) write(b *strings.Builder) {
	if a == nil {
		return
	}
	fmt.Fprintf(b, "           the autoscaler wants %d, sees %d, and may choose %d to %d\n", a.Desired, a.Current, a.Min,
		a.Max)
	for _, c := range a.Conditions {
		fmt.Fprintf(b, "           %s is %s, %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
}

// writeList writes entries below each other behind a heading, or another text when there are none.
func writeList(b *strings.Builder, heading string, entries []string, otherwise string) {
	if len(entries) == 0 {
		entries = []string{otherwise}
	}
	for i, entry := range entries {
		if i > 0 {
			heading = ""
		}
		fmt.Fprintf(b, "%-10s %s\n", heading, entry)
	}
}

func (p Pace) write(b *strings.Builder) {
	budget := "any number of"
	if p.ReconnectsPerSecond > 0 {
		budget = rate(p.ReconnectsPerSecond)
	}
	entries := make([]string, 0, 2+len(p.Changes))
	entries = append(entries,
		fmt.Sprintf("drains may send %s clients per second to the other gateways (%s)", budget, p.Why),
		fmt.Sprintf("gateways that drain: %d, and %d may at once (spec.disruption.maxUnavailable)", p.Draining,
			p.MaxDraining))
	for _, change := range p.Changes {
		entries = append(entries, fmt.Sprintf("gateway %s closes %s per second, and is to close %d", change.Pod,
			rate(change.Now), change.To))
	}
	writeList(b, "Pace:", entries, "")
}

func (p Plan) writeVictims(b *strings.Builder) {
	if len(p.Victims) == 0 {
		return
	}
	b.WriteString("\nIf the fleet became smaller, its gateways would go in this order:\n")
	table := newTable(b, "#", "POD", "WHY", "CONNECTIONS", "ZONE", "AGE")
	for i, v := range p.Victims[:min(maxVictims, len(p.Victims))] {
		zone := v.Zone
		if v.InZone > 0 {
			zone = fmt.Sprintf("%s (%d there)", v.Zone, v.InZone)
		}
		why := v.Rank
		if v.Going {
			why += "; goes now"
		}
		table.row(strconv.Itoa(i+1), v.Pod, why, strconv.Itoa(v.Connections), zone, age(v.CreatedAt, p.now))
	}
	table.flush()
	if more := len(p.Victims) - maxVictims; more > 0 {
		fmt.Fprintf(b, "and %d more\n", more)
	}
}
