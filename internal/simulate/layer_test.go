package simulate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/golden"
)

func TestLayersOfTheListCanBeUsed(t *testing.T) {
	names := map[string]bool{}
	for _, layer := range builtInLayers() {
		require.Empty(t, layer.problem(), layer.Name)
		require.False(t, names[layer.Name], layer.Name)
		names[layer.Name] = true
		last := layer.wait(0).Max
		for failed := range maxAttempt + 1 {
			wait := layer.wait(failed)
			require.LessOrEqual(t, wait.Min, wait.Max, layer.Name)
			require.LessOrEqual(t, wait.Max, layer.longestWait(), layer.Name)
			require.GreaterOrEqual(t, wait.Max, last, "%s: waits never become shorter", layer.Name)
			last = wait.Max
		}
		settled := int(layer.settled())
		require.Equal(t, layer.wait(settled), layer.wait(maxAttempt), layer.Name)
	}
	require.Len(t, LayerNames(), len(names))
}

func TestLayerWaitsGrowUpToTheirCap(t *testing.T) {
	layer, err := ParseLayer("mine=delay:1s-2s,growth:2,cap:6s,jitter:0.5,attempts:7,ends-at-close,ends-at-refusal")
	require.NoError(t, err)
	require.Equal(t, Layer{
		Name:          "mine",
		Waits:         []Range{{500 * time.Millisecond, 3 * time.Second}},
		Growth:        2,
		Cap:           6 * time.Second,
		Attempts:      7,
		EndsAtClose:   true,
		EndsAtRefusal: true,
	}, layer)
	require.Equal(t, Range{time.Second, 6 * time.Second}, layer.wait(1))
	require.Equal(t, Range{2 * time.Second, 6 * time.Second}, layer.wait(2))
	require.Equal(t, Range{6 * time.Second, 6 * time.Second}, layer.wait(10))
	layer, err = ParseLayer("steps=delay:0s/2s/10s")
	require.NoError(t, err)
	require.Equal(t, exactly(0, 2*time.Second, 10*time.Second), layer.Waits)
	require.Equal(t, exactly(10 * time.Second)[0], layer.wait(9))
}

func TestParseLayerRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"mine":                           "give a name and a delay",
		"=delay:1s":                      "give a name and a delay",
		"m=dely:1s":                      `unknown setting "dely"`,
		"m=delay:soon":                   "delay:soon cannot be read",
		"m=growth:2":                     "0 waits",
		"m=delay:1s,growth:2":            "growth without a cap",
		"m=delay:1s,growth:0.5":          "growth 0.5: give 1 or more",
		"m=delay:1s,growth:NaN,cap:1s":   "growth NaN",
		"m=delay:1s,jitter:2":            "jitter 2: give 0 to 1",
		"m=delay:2h":                     "of at most 1h0m0s",
		"m=delay:1s,attempts:-1":         "attempts -1",
		"m=delay:1s,cap:2h":              "cap 2h0m0s",
		"m=delay:1s,growth:two,cap:2s":   "growth:two cannot be read",
		"m=delay:1s,attempts:many,cap:s": "attempts:many cannot be read",
	} {
		_, err := ParseLayer(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "--layer: ", text)
	}
}

func TestParseClients(t *testing.T) {
	mine := Layer{Name: "mine", Waits: exactly(time.Second), Growth: 1}
	shares, err := ParseClients("stompjs=30,mine=70", []Layer{mine})
	require.NoError(t, err)
	require.InDelta(t, 30, shares[0].Weight, 0)
	require.Equal(t, exactly(5*time.Second), shares[0].Layer.Waits)
	require.Equal(t, Share{mine, 70}, shares[1])
	for text, want := range map[string]string{
		"":                    `unknown layer ""`,
		"stomp":               `unknown layer "stomp": use centrifuge`,
		"stompjs=0":           `"0" is no share`,
		"stompjs=-1":          `"-1" is no share`,
		"stompjs=x":           `"x" is no share`,
		"stompjs=1,stompjs=2": "stompjs is there twice",
	} {
		_, err := ParseClients(text, nil)
		require.ErrorContains(t, err, want, text)
	}
}

func TestParseEventReadsWhatStringWrites(t *testing.T) {
	for _, text := range []string{
		"rollout", "rollout@30s", "scale-in=3@5m0s", "scale-out=2",
		"zone-loss@1h0m0s", "node-loss=2", "redis-loss=1m30s@10s", "kill=4",
	} {
		e, err := ParseEvent(text)
		require.NoError(t, err)
		require.Equal(t, text, e.String())
	}
	for text, want := range map[string]string{
		"kill": "kill=1", "node-loss@5s": "node-loss=1@5s", "redis-loss": "redis-loss=1m0s",
	} {
		e, err := ParseEvent(text)
		require.NoError(t, err)
		require.Equal(t, want, e.String())
	}
	for text, want := range map[string]string{
		"": "unknown event: use rollout, scale-in=N, scale-out=N, zone-loss, node-loss=N, redis-loss=TIME, " +
			"kill=N",
		"rolout":         "unknown event",
		"scale-in":       "give a number of 1 or more, like scale-in=2",
		"scale-in=0":     "give a number of 1 or more",
		"scale-out":      "give a number of 1 or more, like scale-out=2",
		"kill=x":         "give a number of 1 or more, like kill=2",
		"rollout=3":      "rollout takes no value",
		"redis-loss=2":   "give a time, like redis-loss=1m",
		"redis-loss=-2s": "give a time, like redis-loss=1m",
		"rollout@soon":   `"soon" is no time`,
		"rollout@-1s":    `"-1s" is no time`,
		"rollout@":       `"" is no time`,
	} {
		_, err := ParseEvent(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestParseRangeReadsWhatStringWrites(t *testing.T) {
	for _, text := range []string{"10s", "8s-12s", "500ms-1.5s", "0s"} {
		r, err := ParseRange("pod-start", text)
		require.NoError(t, err)
		require.Equal(t, text, r.String())
	}
	for _, text := range []string{"", "10", "12s-8s", "-8s", "8s-", "8s-9s-10s"} {
		_, err := ParseRange("pod-start", text)
		require.ErrorContains(t, err, "--pod-start: ", text)
	}
}

func TestDocumentationListsTheLayers(t *testing.T) {
	var b strings.Builder
	b.WriteString("| layer | waits | then | gives up |\n|---|---|---|---|\n")
	for _, l := range builtInLayers() {
		waits := make([]string, len(l.Waits))
		for i, wait := range l.Waits {
			waits[i] = wait.String()
		}
		then, end := "the last again and again", "never"
		switch {
		case l.Growth > 1:
			then = fmt.Sprintf("times %v, up to %v", l.Growth, l.Cap)
		case l.Attempts > 0 && l.Attempts <= len(l.Waits):
			then = "-"
		}
		if l.Attempts > 0 {
			end = fmt.Sprintf("after %d attempts", l.Attempts)
		}
		switch {
		case l.EndsAtRefusal:
			end += ", and at a refusal"
		case l.EndsAtClose:
			end = "when a drain closes its connection"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", l.Name, strings.Join(waits, ", "), then, end)
	}
	golden.Section(t, "../../docs/simulate.md", "layers", b.String())
}
