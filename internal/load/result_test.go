package load

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/report"
)

// exampleResults returns results that together set every field.
func exampleResults() map[string]*Result {
	latency := newHistogram()
	for i := range int64(1000) {
		record(latency, (i+1)*1e6)
	}
	connect := Connect{
		Attempted: 5002,
		Connected: 5000,
		Failed:    2,
		Errors:    map[string]int64{"timeout": 2},
		PerSecond: 8233.4,
		Latency:   summary(latency),
	}
	server := &ServerPhase{CPUSeconds: 0.4, RSSStartBytes: 13 << 20, RSSEndBytes: 23 << 20}
	publish := Publish{
		Sent:         100,
		Acknowledged: 99,
		Failed:       1,
		Errors:       map[string]int64{"the server answered error 100: no broker": 1},
		PerSecond:    10,
	}
	delivery := Delivery{
		Expected:   500000,
		Received:   499999,
		Lost:       1,
		Duplicated: 2,
		Reordered:  3,
		PerSecond:  50000,
		Latency:    summary(latency),
	}
	samples := []Sample{
		{Seconds: 1, Phase: "connect", Connected: 4000, ServerCPU: 0.5, ServerRSSBytes: 20 << 20},
		{
			Seconds:             2,
			Phase:               "run",
			Connected:           5000,
			PublishedPerSecond:  10,
			DeliveriesPerSecond: 50000,
			P50:                 0.01,
			P99:                 0.02,
			ServerCPU:           0.25,
			ServerRSSBytes:      23 << 20,
		},
	}
	common := Result{
		URL: "ws://127.0.0.1:8080", Protocol: Centrifuge, Clients: 5001, Channels: 1, Processes: 1, MessageBytes: 100,
		Connect: connect, Samples: samples, Disconnects: map[string]int64{}, Failures: []string{}, LoadCPUSeconds: 3,
		Publish: Publish{Errors: map[string]int64{}}, connectLatency: latency,
	}
	fanout := common
	fanout.Scenario, fanout.Loop, fanout.Rate = Fanout, LoopOpen, 10
	fanout.Phases = []Phase{{Name: "connect", Seconds: 0.6, Server: server, LoadCPUSeconds: 0.5},
		{Name: "run", Seconds: 10, Server: server, LoadCPUSeconds: 2.5}}
	fanout.Publish, fanout.Delivery, fanout.deliveryLatency = publish, delivery, latency
	fanout.Server = &ServerTotal{CPUSeconds: 0.8, RSSBytes: 23 << 20}
	fanout.Disconnects = map[string]int64{"closed by the server: 3008 slow": 1}
	fanout.Failures = []string{"2 clients could not connect: timeout (2)"}
	fanout.Interrupted = true
	storm := common
	storm.Scenario, storm.Loop = Storm, LoopNone
	storm.Phases = []Phase{{Name: "connect", Seconds: 0.6}, {Name: "storm 1", Seconds: 1.5}}
	storm.Steps = []Step{{Clients: 5000, Seconds: 1.5, Connect: connect, BackAfterSeconds: 1.4}}
	recovering := storm
	recovering.Loop, recovering.Rate, recovering.Publish, recovering.Delivery = LoopOpen, 10, publish, delivery
	recovering.Steps = []Step{{
		Clients:          5000,
		Seconds:          1.5,
		Connect:          connect,
		BackAfterSeconds: 1.4,
		Recovery:         &Recovery{Recovered: 4999, Unrecovered: 1, Publications: 70000},
	}}
	ramp := common
	ramp.Scenario, ramp.Loop, ramp.Window, ramp.Channels = Ramp, LoopClosed, 16, 2
	ramp.Phases = []Phase{{Name: "connect publishers", Seconds: 0.6}, {Name: "connect 500", Seconds: 0.1},
		{Name: "run 500", Seconds: 10}}
	ramp.Steps = []Step{{
		Clients:  500,
		Seconds:  10,
		Connect:  connect,
		Publish:  &publish,
		Delivery: &delivery,
		Server:   server,
	}}
	ramp.Ended = "p99 was above 100ms"
	live := exampleLive(common)
	live.Publish, live.Delivery, live.deliveryLatency = publish, delivery, latency
	return map[string]*Result{
		"fanout": &fanout, "storm": &storm, "recovering": &recovering, "ramp": &ramp, "live": &live,
	}
}

// exampleLive returns a result of live with an event.
func exampleLive(common Result) Result {
	counts := LiveCounts{
		ConnectionsLost:         1200,
		ConnectionsLostByReason: map[string]int64{"the server disconnected the client: 3001 shutdown": 1200},
		Returns:                 1198,
		PeakReturnsPerSecond:    300,
		Refused:                 40,
		RefusedByReason:         map[string]int64{"handshake refused: 503 Service Unavailable": 40},
		Away:                    AwayTimes{P50: 0.75, P99: 1.5, Max: 3.25},
		Gone:                    1,
		Unrecovered:             2,
		Lost:                    3,
		FalselyRecovered:        1,
		Missed:                  400,
		Duplicated:              4,
		Reordered:               5,
	}
	nothing := LiveCounts{ConnectionsLostByReason: map[string]int64{}, RefusedByReason: map[string]int64{}}
	live := common
	live.Scenario, live.Loop, live.Rate = Live, LoopOpen, 100
	live.Phases = []Phase{{Name: "connect", Seconds: 0.6}, {Name: "live", Seconds: 60}}
	live.awayTimes = awayHistogram([]time.Duration{time.Second, 2 * time.Second})
	live.Samples = []Sample{
		{Seconds: 1, Phase: "live", Connected: 5001, PublishedPerSecond: 100, DeliveriesPerSecond: 50000},
		{Seconds: 2, Phase: "live", Connected: 3801, Away: 1200, LostPerSecond: 1200, RefusedPerSecond: 40},
		{Seconds: 3, Phase: "live", Connected: 4999, Away: 2, ReturnsPerSecond: 300, DeliveriesPerSecond: 50000},
	}
	live.Live = &LiveResult{
		Total: counts,
		Groups: []LiveGroup{
			{Clients: 4001, Layer: "centrifuge", Protocol: Centrifuge, LiveCounts: counts, AwayAtEnd: 1},
			{Clients: 1000, Layer: "stompjs", Protocol: Plain, LiveCounts: nothing},
		},
		Events: []LiveEvent{
			{Seconds: 0.6, LiveCounts: nothing, Groups: []AwayTimes{{}, {}}},
			{Label: "rollout <b>", Seconds: 1.5, LiveCounts: counts, Groups: []AwayTimes{counts.Away, {}}},
		},
		Clients: []ClientResult{{
			Client:           17,
			Group:            "centrifuge",
			Channel:          "load-0",
			TimesAway:        2,
			Lost:             3,
			FalselyRecovered: 1,
		}},
		AwayAtEnd:                1,
		PublisherConnectionsLost: 2,
		SkippedMessages:          6,
	}
	return live
}

var update = flag.Bool("update", false, "write testdata anew")

// requireGolden compares text with a file of testdata.
func requireGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestWriteText(t *testing.T) {
	for name, r := range exampleResults() {
		var b strings.Builder
		require.NoError(t, r.WriteText(&b))
		requireGolden(t, name+".txt", b.String())
	}
}

// TestResultJSON fixes the JSON that scripts rely on.
func TestResultJSON(t *testing.T) {
	for name, r := range exampleResults() {
		b, err := json.MarshalIndent(r, "", "  ")
		require.NoError(t, err)
		requireGolden(t, name+".json", string(b)+"\n")
	}
}

func TestWriteHTML(t *testing.T) {
	for name, plots := range map[string]int{"fanout": 7, "storm": 6, "ramp": 6, "live": 7} {
		r := exampleResults()[name]
		r.Failures = append(r.Failures, "<script>alert(1)</script>")
		var b strings.Builder
		require.NoError(t, r.WriteHTML(&b))
		page := b.String()
		require.Equal(t, plots, strings.Count(page, "<svg"), name)
		require.NotContains(t, page, "<script")
		require.NotContains(t, page, "src=", "nothing is loaded from elsewhere")
		for _, part := range strings.Split(page, "<svg")[1:] {
			svg, _, _ := strings.Cut(part, "</svg>")
			d := xml.NewDecoder(strings.NewReader("<svg" + svg + "</svg>"))
			var err error
			for err == nil {
				_, err = d.Token()
			}
			require.ErrorIs(t, err, io.EOF, "well-formed")
		}
	}
}

func TestFormatNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"0":          seconds(0),
		"12.3 us":    seconds(12.34e-6),
		"1.23 ms":    seconds(1.234e-3),
		"999 ms":     seconds(0.999),
		"1.5 s":      seconds(1.5),
		"16m40s":     seconds(1000),
		"0.12":       report.Number(0.123),
		"12.5":       report.Number(12.5),
		"1,234,568":  report.Number(1234567.8),
		"-1,234":     report.Grouped(-1234),
		"999":        report.Grouped(999),
		"1,000":      report.Grouped(1000),
		"512 B":      bytesText(512),
		"2.0 KiB":    bytesText(2048),
		"-3.0 KiB":   bytesText(-3072),
		"20 MiB":     bytesText(20 << 20),
		"1 channel":  plural(1, "channel"),
		"2 channels": plural(2, "channel"),
	} {
		require.Equal(t, want, got)
	}
}

func TestSampleLine(t *testing.T) {
	samples := exampleResults()["fanout"].Samples
	require.Equal(t, "   1s connect: 4,000 connected, server 0.50 cores, 20 MiB", samples[0].Line())
	require.Equal(t, "   2s run: 5,000 connected, 50,000 deliveries/s, p99 20 ms, server 0.25 cores, 23 MiB",
		samples[1].Line())
}

func TestSampleLineOfLive(t *testing.T) {
	require.Equal(t, "   2s live: 3,801 connected, 1,200 away", exampleResults()["live"].Samples[1].Line())
}

func TestMergeAddsEncodedHistogram(t *testing.T) {
	a, b := newHistogram(), newHistogram()
	for i := range int64(100) {
		record(a, i*1e6)
		record(b, i*1e9)
	}
	encoded, err := encode(b)
	require.NoError(t, err)
	require.NoError(t, merge(a, encoded))
	require.NoError(t, merge(a, nil))
	require.Equal(t, int64(200), a.TotalCount())
	require.InDelta(t, 99, summary(a).Max, 0.1)
	require.ErrorContains(t, merge(a, []byte("x")), "decode histogram")
	require.Equal(t, Latency{}, summary(newHistogram()))
}
