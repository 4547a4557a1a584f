package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/internal/load"
	"github.com/wsfleet/wsfleet/internal/report"
)

// outcome is the result of a run.
type outcome struct {
	test *test
	// before is the time before the first event, in which nothing may go wrong.
	before row
	rows   []row
	result *load.Result
	looks  []look
}

// newOutcome reads the result of the load tool, whose events are those of the rows.
func newOutcome(t *test, rows []row, out []byte) (*outcome, error) {
	var r load.Result
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("the result of `wsfleet load live`: %w: %s", err, out)
	}
	if r.Live == nil || len(r.Live.Events) != len(rows)+1 {
		return nil, fmt.Errorf("`wsfleet load live` has not counted %d events: %v", len(rows), r.Failures)
	}
	for i := range rows {
		rows[i].live = r.Live.Events[i+1]
	}
	before := row{event: event{name: "before the first event", planned: true}, live: r.Live.Events[0]}
	return &outcome{test: t, before: before, rows: rows, result: &r, looks: t.watch.all()}, nil
}

// missed returns the goals that were missed and are no times.
func (o *outcome) missed() (missed []error) {
	for _, failure := range o.result.Failures {
		missed = append(missed, errors.New(failure))
	}
	for _, r := range append([]row{o.before}, o.rows...) {
		l := r.live
		for _, f := range []struct {
			what string
			n    int64
			may  bool
		}{
			{"messages lost", l.Lost, r.event.losesStreams}, {"messages falsely recovered", l.FalselyRecovered, false},
			{"messages twice", l.Duplicated, false}, {"messages reordered", l.Reordered, false},
			{"clients gone", l.Gone, false}, {"attempts refused", l.Refused, !r.event.planned},
		} {
			if f.n > 0 && !f.may {
				missed = append(missed, fmt.Errorf("%s: %d %s", r.event.name, f.n, f.what))
			}
		}
	}
	if away := o.result.Live.AwayAtEnd; away > 0 {
		missed = append(missed, fmt.Errorf("%d clients are not back at the end", away))
	}
	return missed
}

// graceAway is how long after the longest first wait of its layer a client may be back in a planned event.
const graceAway = 500 * time.Millisecond

// markdown returns the table of the events.
func (o *outcome) markdown() string {
	var b strings.Builder
	away := make([]string, 0, len(groups()))
	for _, g := range groups() {
		away = append(away, g.title+": away p50, p99, max")
	}
	writeRow(&b, append([]string{
		"event", "took", "returns", "peak/s", "refused", "gone", "lost, twice, reordered, falsely recovered",
	}, away...))
	writeRow(&b, slices.Repeat([]string{"---"}, 7+len(away)))
	for _, r := range o.rows {
		l := r.live
		away := make([]string, 0, len(l.Groups))
		for _, of := range l.Groups {
			away = append(away, awayCell(of))
		}
		writeRow(&b, append([]string{
			r.event.name, fmt.Sprintf("%.0f s", r.took.Seconds()), report.Grouped(l.Returns),
			report.Grouped(l.PeakReturnsPerSecond), report.Grouped(l.Refused), report.Grouped(l.Gone),
			fmt.Sprintf("%d, %d, %d, %d", l.Lost, l.Duplicated, l.Reordered, l.FalselyRecovered),
		}, away...))
	}
	fmt.Fprintf(&b, "\nAccept rate %.0f clients/s, reconnect budget %d/s; the highest peak of a planned event is %.2f of "+
		"it.\nLongest time away in planned events, by the longest first wait of the layer and %s:", o.test.acceptRate,
		o.test.budget(), o.peak(), graceAway)
	for i, g := range groups() {
		fmt.Fprintf(&b, " %s %.2f of %s,", g.title, o.longest(i, g), g.firstWait+graceAway)
	}
	fmt.Fprintf(&b, " seed %d.\n", o.test.seed)
	return b.String()
}

func writeRow(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// awayCell returns times away in seconds.
func awayCell(away load.AwayTimes) string {
	if away.Max == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f, %.2f, %.2f s", away.P50, away.P99, away.Max)
}

// peak returns the highest number of returns in a second of planned events, in budgets.
func (o *outcome) peak() (ratio float64) {
	for _, r := range o.rows {
		if r.event.planned {
			ratio = max(ratio, float64(r.live.PeakReturnsPerSecond)/float64(o.test.budget()))
		}
	}
	return ratio
}

// longest returns how long clients of a group were away at most in planned events, in what they may be.
func (o *outcome) longest(i int, g group) (ratio float64) {
	for _, r := range o.rows {
		if r.event.planned {
			ratio = max(ratio, r.live.Groups[i].Max/(g.firstWait+graceAway).Seconds())
		}
	}
	return ratio
}

// save writes the result as JSON and as a page with plots.
func (o *outcome) save(path string) error {
	text, err := json.MarshalIndent(o.result, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".json", text, 0o644); err != nil {
		return err
	}
	var load strings.Builder
	if err := o.result.WriteText(&load); err != nil {
		return err
	}
	file, err := os.Create(path + ".html")
	if err != nil {
		return err
	}
	problems := []string{}
	for _, m := range o.missed() {
		problems = append(problems, m.Error())
	}
	page := report.Page{
		Title: "A fleet that changes", Problems: problems, Text: o.markdown() + "\n" + load.String(),
		Figures: append([]report.Figure{o.connectionsByGateway()}, o.result.Figures()...),
	}
	return errors.Join(page.Write(file), file.Close())
}

// connectionsByGateway is the plot of the connections of each gateway over time.
func (o *outcome) connectionsByGateway() report.Figure {
	type sample struct{ seconds, connections float64 }
	started := o.startedAt()
	samples := map[string][]sample{}
	for _, l := range o.looks {
		for _, g := range l.Gateways {
			if at := l.at.Sub(started).Seconds(); at >= 0 && g.Connections != nil {
				samples[g.Pod] = append(samples[g.Pod], sample{at, float64(*g.Connections)})
			}
		}
	}
	figure := report.Figure{Title: "Connections of each gateway", X: "seconds", Y: "open", Marks: o.result.Marks()}
	for _, pod := range slices.Sorted(maps.Keys(samples)) {
		figure.Curves = append(figure.Curves, report.Over("", samples[pod],
			func(s sample) float64 { return s.seconds }, func(s sample) float64 { return s.connections }))
	}
	return figure
}

// startedAt returns when the load tool began to count seconds, by its time of the first event.
func (o *outcome) startedAt() time.Time {
	return o.rows[0].began.Add(-time.Duration(o.rows[0].live.Seconds * float64(time.Second)))
}
