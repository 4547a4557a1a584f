package simulate

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wsfleet/wsfleet/internal/report"
)

// WriteText writes the result as text for a terminal. It returns the first error of w.
func (r *Result) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	var failed error
	row := func(cells ...string) {
		if failed == nil {
			_, failed = fmt.Fprintln(t, strings.Join(cells, "\t"))
		}
	}
	row(fmt.Sprintf("%s connections on %s gateways: %s", report.Grouped(r.Connections),
		report.Grouped(int64(r.Gateways)), r.events()))
	row("clients: " + r.layers())
	row("")
	for _, cells := range r.rows() {
		row(cells...)
	}
	for _, note := range r.Notes() {
		row("")
		row("NOTE: " + note)
	}
	if failed != nil {
		return failed
	}
	return t.Flush()
}

// rows returns the table of the result.
func (r *Result) rows() [][]string {
	p, d, a := r.Peak, r.Disconnects, r.Away
	back := "until the last client is back"
	if a.Still > 0 {
		back = "until the last client came back, and " + report.Grouped(a.Still) + " are still away"
	}
	until := "until the fleet has settled"
	if !r.Settled {
		until = "until the limit"
	}
	budget := "without a reconnect budget"
	if p.MinBudgetPerSecond > 0 {
		budget = fmt.Sprintf("at most %s %% of the reconnect budget, which is %s/s at its lowest",
			report.Grouped(int64(math.Round(100*p.ClosesToBudget))), report.Number(p.MinBudgetPerSecond))
	}
	return [][]string{
		{"time", seconds(r.Seconds), until},
		{"", seconds(r.BackSeconds), back},
		{"", seconds(r.HeldSeconds), "of it the operator held the rollout"},
		{"peak", report.Grouped(p.ReconnectsPerSecond) + "/s", "reconnects"},
		{"", report.Grouped(p.ClosesPerSecond) + "/s", "closes of drains, " + budget},
		{"", report.Grouped(p.AttemptsPerSecond) + "/s", "attempts, " + report.Grouped(p.FailuresPerSecond) + "/s failed"},
		{"away", seconds(a.P50), "p50"},
		{"", seconds(a.P99), "p99"},
		{"", seconds(a.Max), "max"},
		{"", report.Grouped(a.Gone), "clients left for good"},
		{
			"disconnects", report.Grouped(d.Total),
			fmt.Sprintf("%s per client: %s closed by drains, %s of them at a deadline, %s cut", report.Number(d.PerClient),
				report.Grouped(d.Closed), report.Grouped(d.Forced), report.Grouped(d.Cut)),
		},
		{
			"attempts", report.Grouped(r.Attempts.Total), fmt.Sprintf("%s refused with 503, %s unanswered, %s unreachable",
				report.Grouped(r.Attempts.Refused), report.Grouped(r.Attempts.Unanswered), report.Grouped(r.Attempts.Unreachable)),
		},
		{
			"gateways", report.Grouped(int64(r.Fleet.MaxDraining)),
			"draining at once; spec.disruption.maxUnavailable allows " + report.Grouped(int64(r.Fleet.AllowedDraining)),
		},
		{"", report.Grouped(int64(r.Fleet.MinServing)), "serving, at least"},
		{"", report.Grouped(int64(r.Fleet.MaxPods)), "pods, at most"},
		{"", report.Number(r.Fleet.FullestToAverage) + "x", "the average has the fullest one at the end"},
	}
}

// Notes returns what a user should know of the result, the most important first. It is empty where all went well.
func (r *Result) Notes() []string {
	var notes []string
	add := func(is bool, format string, args ...any) {
		if is {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	waits := r.Waits
	if waits != "" {
		waits = "; the operator waits: " + waits
	}
	add(!r.Settled, "the fleet has not settled within the limit%s", waits)
	add(r.Disconnects.Forced > 0, "drains closed %s connections at once at their deadline: raise spec.drain.timeout, "+
		"or the reconnect budget (spec.gateway.connectRate, spec.rollout.maxReconnectsPerSecond)",
		report.Grouped(r.Disconnects.Forced))
	add(r.Peak.ClosesToBudget > maxRatio, "drains closed %.1f times as many connections per second as the reconnect "+
		"budget allows", r.Peak.ClosesToBudget)
	draining, allowed := r.Fleet.MaxDraining, r.Fleet.AllowedDraining
	add(draining > allowed, "%s gateways drained at once, and spec.disruption.maxUnavailable allows %s",
		report.Grouped(int64(draining)), report.Grouped(int64(allowed)))
	add(r.Attempts.Full > 0, "%s attempts found a full gateway: load balancers spread clients at random, so gateways "+
		"that are not replaced yet collect more than the average, and full ones are not left out; raise "+
		"spec.gateway.maxConnections or the number of gateways", report.Grouped(r.Attempts.Full))
	return notes
}

// maxRatio is the ratio of closes to the budget up to which they count as within it: the operator leaves paces alone
// that differ by 20 %.
const maxRatio = 1.25

func (r *Result) events() string {
	if len(r.Events) == 0 {
		return "no event"
	}
	return strings.Join(r.Events, ", ")
}

func (r *Result) layers() string {
	all := make([]string, len(r.Clients))
	for i, c := range r.Clients {
		all[i] = fmt.Sprintf("%s %s %%", c.Layer, report.Number(100*c.Share))
	}
	return strings.Join(all, ", ")
}

// Line returns the progress as a line for a terminal.
func (p Progress) Line() string {
	return fmt.Sprintf("%v simulated: %s connected, %s away, %d of %d gateways updated, %d drain", p.Elapsed,
		report.Grouped(p.Sample.Connected), report.Grouped(p.Sample.Away), p.Updated, p.Gateways, p.Sample.Draining)
}

// seconds formats a time to a tenth of a second.
func seconds(s float64) string {
	if s < 60 {
		return strconv.FormatFloat(s, 'f', 1, 64) + " s"
	}
	return time.Duration(math.Round(s) * float64(time.Second)).String()
}
