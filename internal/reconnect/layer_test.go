package reconnect

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
	for _, layer := range Known() {
		require.Empty(t, layer.Problem(), layer.Name)
		require.False(t, names[layer.Name], layer.Name)
		names[layer.Name] = true
		last := layer.Wait(0).Max
		for failed := range MaxAttempt + 1 {
			wait := layer.Wait(failed)
			require.LessOrEqual(t, wait.Min, wait.Max, layer.Name)
			require.LessOrEqual(t, wait.Max, layer.LongestWait(), layer.Name)
			require.GreaterOrEqual(t, wait.Max, last, "%s: waits never become shorter", layer.Name)
			last = wait.Max
		}
		settled := layer.Settled()
		require.Equal(t, layer.Wait(settled), layer.Wait(MaxAttempt), layer.Name)
	}
	require.Len(t, Names(), len(names))
}

func TestLayerWaitsGrowUpToTheirCap(t *testing.T) {
	layer, err := Parse("mine=delay:1s-2s,growth:2,cap:6s,jitter:0.5,attempts:7,ends-at-close,ends-at-refusal")
	require.NoError(t, err)
	require.Equal(t, Layer{
		Name:          "mine",
		Waits:         []Wait{{500 * time.Millisecond, 3 * time.Second}},
		Growth:        2,
		Cap:           6 * time.Second,
		Attempts:      7,
		EndsAtClose:   true,
		EndsAtRefusal: true,
	}, layer)
	require.Equal(t, Wait{time.Second, 6 * time.Second}, layer.Wait(1))
	require.Equal(t, Wait{2 * time.Second, 6 * time.Second}, layer.Wait(2))
	require.Equal(t, Wait{6 * time.Second, 6 * time.Second}, layer.Wait(10))
	layer, err = Parse("steps=delay:0s/2s/10s")
	require.NoError(t, err)
	require.Equal(t, exactly(0, 2*time.Second, 10*time.Second), layer.Waits)
	require.Equal(t, exactly(10 * time.Second)[0], layer.Wait(9))
}

func TestParseRefuses(t *testing.T) {
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
		_, err := Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestFind(t *testing.T) {
	mine := Layer{Name: "mine", Waits: exactly(time.Second), Growth: 1}
	layer, err := Find("mine", []Layer{mine})
	require.NoError(t, err)
	require.Equal(t, mine, layer)
	layer, err = Find("stompjs", []Layer{mine})
	require.NoError(t, err)
	require.Equal(t, exactly(5*time.Second), layer.Waits)
	_, err = Find("mine", nil)
	require.EqualError(t, err, `unknown layer "mine": use `+strings.Join(Names(), ", ")+", or describe it with --layer")
}

func TestWaitDrawStaysWithinItsBounds(t *testing.T) {
	wait, seen := Wait{3, 5}, map[time.Duration]bool{}
	for range 1000 {
		seen[wait.Draw()] = true
	}
	require.Equal(t, map[time.Duration]bool{3: true, 4: true, 5: true}, seen)
	require.Zero(t, Wait{}.Draw())
}

func TestLayerEnds(t *testing.T) {
	known := map[string]Layer{}
	for _, layer := range Known() {
		known[layer.Name] = layer
	}
	require.False(t, known["signalr"].EndsAfter(3, true))
	require.True(t, known["signalr"].EndsAfter(4, false))
	require.False(t, known["graphql-ws"].EndsAfter(1, false))
	require.True(t, known["graphql-ws"].EndsAfter(1, true))
	require.False(t, known["centrifuge"].EndsAfter(1000, true))
	// What docs/clients.md says of the codes that the tests of client stacks send.
	for name, never := range map[string][]int{
		"rxjs-retry": {1012, 1001, 4500}, "sockette": {1001}, "robust-websocket": {1008}, "y-websocket": {4400},
		"graphql-ws": {1008, 4400, 4500}, "centrifuge": {3500, 3999, 4500}, "stompjs": {},
	} {
		for _, code := range never {
			require.True(t, known[name].EndsAt(code), "%s at %d", name, code)
		}
	}
	for name, layer := range known {
		if name != "rxjs-retry" {
			require.False(t, layer.EndsAt(1012) || layer.EndsAt(3001), "%s comes back after a drain", name)
		}
	}
}

func TestDocumentationListsTheLayers(t *testing.T) {
	var b strings.Builder
	b.WriteString("| layer | waits | then | gives up |\n|---|---|---|---|\n")
	for _, l := range Known() {
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
