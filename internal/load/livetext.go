package load

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/wsfleet/wsfleet/internal/report"
)

// live writes what happened to the clients of live: a line for each group, and one for each event. refusedMessages
// counts publications that failed, by reason.
func (t *page) live(r *LiveResult, refusedMessages map[string]int64) {
	t.row(append([]string{"clients", "layer", "gone", "away at the end"}, countsTitles...)...)
	for _, g := range r.Groups {
		name := g.Layer
		if g.Protocol == Plain {
			name += ", plain"
		}
		t.row(append([]string{report.Grouped(int64(g.Clients)), name, report.Grouped(g.Gone), report.Grouped(g.AwayAtEnd)},
			g.cells()...)...)
	}
	t.blank()
	t.row(append([]string{"event", "at", "", "gone"}, countsTitles...)...)
	for i, e := range r.Events {
		number, label := strconv.Itoa(i), e.Label
		if i == 0 {
			number, label = "", "before the first event"
		}
		t.row(append([]string{number, fmt.Sprintf("%.1f s", e.Seconds), label, report.Grouped(e.Gone)}, e.cells()...)...)
	}
	t.blank()
	t.reasons("disconnects", r.Total.ConnectionsLostByReason)
	t.reasons("refused", r.Total.RefusedByReason)
	if r.Total.Unrecovered > 0 {
		t.row("not recovered", report.Grouped(r.Total.Unrecovered),
			"returns with the server's answer that publications are missing")
	}
	t.reasons("not accepted", refusedMessages)
	if r.PublisherConnectionsLost > 0 {
		t.row("publishers", report.Grouped(r.PublisherConnectionsLost), "connections lost; they come back at once")
	}
	if r.SkippedMessages > 0 {
		t.row("not published", report.Grouped(r.SkippedMessages), "messages were due while no publisher was connected")
	}
	t.blank()
}

// countsTitles are the titles of LiveCounts.cells.
var countsTitles = []string{
	"disconnects", "returns", "peak/s", "refused", "away p50", "p99", "max", "messages lost", "falsely recovered",
	"missed", "duplicated", "reordered",
}

// cells returns the counts as the cells of a line.
func (c LiveCounts) cells() []string {
	return []string{
		report.Grouped(c.ConnectionsLost), report.Grouped(c.Returns), report.Grouped(c.PeakReturnsPerSecond),
		report.Grouped(c.Refused), seconds(c.Away.P50), seconds(c.Away.P99), seconds(c.Away.Max), report.Grouped(c.Lost),
		report.Grouped(c.FalselyRecovered), report.Grouped(c.Missed), report.Grouped(c.Duplicated),
		report.Grouped(c.Reordered),
	}
}

// reasons writes how often each reason was given.
func (t *page) reasons(title string, counts map[string]int64) {
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		t.row(title, report.Grouped(counts[reason]), reason)
	}
}
