package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wsfleet/wsfleet/internal/report"
)

// WriteText writes the result as text for a terminal. It returns the first error of w.
func (r *Result) WriteText(w io.Writer) error {
	t := &page{tabs: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	t.line("%s, %s, %s clients, %s, at %s", r.Scenario, r.Protocol, report.Grouped(int64(r.Clients)),
		plural(r.Channels, "channel"), r.URL)
	t.line("%s", r.offered())
	t.blank()
	t.connect("connect", r.Connect)
	for i, s := range r.Steps {
		t.step(i+1, s)
	}
	if r.Ended != "" {
		t.row("", "the ramp ends here: "+r.Ended)
	}
	if r.Loop != LoopNone && r.Scenario != Ramp {
		t.traffic(r)
	}
	t.blank()
	if r.Live != nil {
		t.live(r.Live, r.Publish.Errors)
	}
	t.phases(r)
	if r.Live == nil {
		t.reasons("ended", r.Disconnects)
	}
	if r.Interrupted {
		t.line("interrupted: the run ended early")
	}
	for _, f := range r.Failures {
		t.line("FAILED: %s", f)
	}
	return t.flush()
}

// offered describes the load of the publishers.
func (r *Result) offered() string {
	switch r.Loop {
	case LoopOpen:
		return fmt.Sprintf("open loop, %s messages/s of %d bytes in all", report.Number(r.Rate), r.MessageBytes)
	case LoopClosed:
		return fmt.Sprintf("closed loop, %s of %d bytes in flight in all", plural(r.Window, "message"), r.MessageBytes)
	}
	return "no messages"
}

// page writes lines and columns, and keeps the first error.
type page struct {
	tabs *tabwriter.Writer
	err  error
}

func (t *page) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.tabs, format+"\n", args...)
	}
}

func (t *page) row(cells ...string) { t.line("%s", strings.Join(cells, "\t")) }

func (t *page) blank() { t.line("") }

func (t *page) flush() error {
	if t.err != nil {
		return t.err
	}
	return t.tabs.Flush()
}

func (t *page) connect(name string, c Connect) {
	t.row(name, fmt.Sprintf("%s connected, %s failed, %s/s", report.Grouped(c.Connected), report.Grouped(c.Failed),
		report.Number(c.PerSecond)))
	if c.Connected > 0 {
		t.row("", c.Latency.String())
	}
	for _, text := range slices.Sorted(maps.Keys(c.Errors)) {
		t.row("", fmt.Sprintf("%s attempts failed: %s", report.Grouped(c.Errors[text]), text))
	}
}

func (t *page) step(n int, s Step) {
	if s.Delivery == nil {
		t.connect(fmt.Sprintf("storm %d", n), s.Connect)
		t.row("",
			fmt.Sprintf("%s of %s back after %s", report.Grouped(s.Connect.Connected), report.Grouped(int64(s.Clients)),
				seconds(s.BackAfterSeconds)))
		if r := s.Recovery; r != nil {
			t.row("",
				fmt.Sprintf("%s recovered, %s not, %s publications with it", report.Grouped(r.Recovered),
					report.Grouped(r.Unrecovered),
					report.Grouped(r.Publications)))
		}
		return
	}
	t.row(fmt.Sprintf("step %d", n),
		fmt.Sprintf("%s clients: %s deliveries/s, %s lost", report.Grouped(int64(s.Clients)),
			report.Number(s.Delivery.PerSecond),
			report.Grouped(s.Delivery.Lost)))
	t.row("", s.Delivery.Latency.String())
}

func (t *page) traffic(r *Result) {
	p, d := r.Publish, r.Delivery
	acknowledged := ""
	if r.Protocol == Centrifuge {
		acknowledged = fmt.Sprintf(", %s acknowledged", report.Grouped(p.Acknowledged))
	}
	t.row("published",
		fmt.Sprintf("%s%s, %s failed, %s/s", report.Grouped(p.Sent), acknowledged, report.Grouped(p.Failed),
			report.Number(p.PerSecond)))
	t.row("delivered", fmt.Sprintf("%s of %s, %s/s", report.Grouped(d.Received), report.Grouped(d.Expected),
		report.Number(d.PerSecond)))
	t.row("",
		fmt.Sprintf("%s lost, %s duplicated, %s reordered", report.Grouped(d.Lost), report.Grouped(d.Duplicated),
			report.Grouped(d.Reordered)))
	if d.Received > 0 {
		t.row("", d.Latency.String())
	}
}

func (t *page) phases(r *Result) {
	t.row("phase", "time", "server CPU", "server memory", "load tool CPU")
	for _, p := range r.Phases {
		cpu, memory := "-", "-"
		if s := p.Server; s != nil {
			cpu = fmt.Sprintf("%s (%s cores)", seconds(s.CPUSeconds), report.Number(s.CPUSeconds/p.Seconds))
			memory = fmt.Sprintf("%s -> %s", bytesText(s.RSSStartBytes), bytesText(s.RSSEndBytes))
		}
		t.row(p.Name, seconds(p.Seconds), cpu, memory, seconds(p.LoadCPUSeconds))
	}
	if each := r.perUnit(); each != "" {
		t.blank()
		t.line("%s", each)
	}
}

// perUnit returns the server's cost of one connection and of one delivery; empty when it is unknown.
func (r *Result) perUnit() string {
	var texts []string
	for _, p := range r.Phases {
		switch s := p.Server; {
		case s == nil:
		case p.Name == "connect" && r.Connect.Connected > 0:
			each := micro(s.CPUSeconds/float64(r.Connect.Connected)) + " per connection"
			// A server that held connections before may have had the memory already.
			if grown := s.RSSEndBytes - s.RSSStartBytes; grown > 0 {
				each += ", which took " + bytesText(grown/r.Connect.Connected) + " of memory"
			}
			texts = append(texts, each)
		case p.Name == "run" && r.Delivery.PerSecond > 0:
			texts = append(texts, micro(s.CPUSeconds/(r.Delivery.PerSecond*p.Seconds))+" per delivery")
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return "server: " + strings.Join(texts, "; ")
}

func (l Latency) String() string {
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s, mean %s", seconds(l.P50), seconds(l.P90), seconds(l.P99),
		seconds(l.P999), seconds(l.Max), seconds(l.Mean))
}

// seconds formats a time with three digits.
func seconds(s float64) string {
	switch {
	case s == 0:
		return "0"
	case s < 1e-3:
		return micro(s)
	case s < 1:
		return strconv.FormatFloat(s*1e3, 'g', 3, 64) + " ms"
	case s < 1000:
		return strconv.FormatFloat(s, 'g', 3, 64) + " s"
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

func micro(s float64) string { return strconv.FormatFloat(s*1e6, 'f', 1, 64) + " us" }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return report.Grouped(int64(n)) + " " + what + "s"
}

func bytesText(n int64) string {
	switch {
	case n >= 10<<20 || n <= -10<<20:
		return report.Grouped(n>>20) + " MiB"
	case n >= 1<<10 || n <= -1<<10:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return report.Grouped(n) + " B"
}

// Line returns the sample as a line of progress for a terminal.
func (s Sample) Line() string {
	text := fmt.Sprintf("%4.0fs %s: %s connected", s.Seconds, s.Phase, report.Grouped(int64(s.Connected)))
	if s.Away > 0 {
		text += fmt.Sprintf(", %s away", report.Grouped(s.Away))
	}
	if s.DeliveriesPerSecond > 0 || s.PublishedPerSecond > 0 {
		text += fmt.Sprintf(", %s deliveries/s, p99 %s", report.Number(s.DeliveriesPerSecond), seconds(s.P99))
	}
	if s.ServerRSSBytes > 0 {
		text += fmt.Sprintf(", server %.2f cores, %s", s.ServerCPU, bytesText(s.ServerRSSBytes))
	}
	return text
}
