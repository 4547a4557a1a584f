package simulate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Layer is a reconnect layer: what a client library does when its connection ends or a handshake fails.
type Layer struct {
	Name string
	// Waits are the times before the first attempts after a loss. After the last one, each wait is Growth times the one
	// before, up to Cap.
	Waits  []Range
	Growth float64
	// Cap bounds the waits that grow. 0 is no bound.
	Cap time.Duration
	// Attempts is the number of failed attempts after which the layer gives up. 0 is no limit.
	Attempts int
	// EndsAtClose reports that the layer does not come back after the close frame of a drain.
	EndsAtClose bool
	// EndsAtRefusal reports that the layer gives up when a gateway refuses a handshake.
	EndsAtRefusal bool
}

// maxLayers is the maximum number of layers in one scenario.
const maxLayers = 32

// maxAttempt is the number of attempts whose waits are told apart. The waits of later ones do not grow any more.
const maxAttempt = 63

func exactly(waits ...time.Duration) []Range {
	all := make([]Range, len(waits))
	for i, wait := range waits {
		all[i] = Range{wait, wait}
	}
	return all
}

// builtInLayers returns the layers that a scenario can name. docs/clients.md has their versions and when they come back
// at all. The first one is the default.
func builtInLayers() []Layer {
	const ms, s = time.Millisecond, time.Second
	return []Layer{
		{
			Name: "centrifuge", Waits: []Range{
				{500 * ms, s}, {500 * ms, 1500 * ms}, {500 * ms, 2500 * ms}, {500 * ms, 4500 * ms}, {500 * ms, 8500 * ms},
				{500 * ms, 16500 * ms}, {500 * ms, 20 * s},
			}, Growth: 1,
		},
		{Name: "reconnecting-websocket", Waits: []Range{{s, 5 * s}}, Growth: 1.3, Cap: 10 * s},
		{Name: "socket.io", Waits: []Range{{500 * ms, 1500 * ms}}, Growth: 2, Cap: 5 * s},
		{Name: "stompjs", Waits: exactly(5 * s), Growth: 1},
		{Name: "sockette", Waits: exactly(s), Growth: 1},
		{Name: "mqtt.js", Waits: exactly(s), Growth: 1},
		{Name: "react-use-websocket", Waits: exactly(5 * s), Growth: 1, Attempts: 20},
		{Name: "supabase", Waits: exactly(s, 2*s, 5*s, 10*s), Growth: 1},
		{Name: "y-websocket", Waits: exactly(200 * ms), Growth: 2, Cap: 2500 * ms},
		{
			Name: "phoenix", Waits: exactly(10*ms, 50*ms, 100*ms, 150*ms, 200*ms, 250*ms, 500*ms, s, 2*s, 5*s), Growth: 1,
		},
		{Name: "signalr", Waits: exactly(0, 2*s, 10*s, 30*s), Growth: 1, Attempts: 4},
		{Name: "trpc", Waits: exactly(0, 2*s), Growth: 2, Cap: 30 * s},
		{Name: "robust-websocket", Waits: exactly(0, 3*s, 10*s), Growth: 1, Attempts: 3},
		{
			Name: "graphql-ws", Waits: []Range{
				{1300 * ms, 4 * s}, {2300 * ms, 5 * s}, {4300 * ms, 7 * s}, {8300 * ms, 11 * s}, {16300 * ms, 19 * s},
			}, Growth: 1, Attempts: 5, EndsAtRefusal: true,
		},
		{Name: "rxjs-retry", Waits: exactly(s), Growth: 1, EndsAtClose: true},
	}
}

// LayerNames returns the names of the layers that ParseClients knows.
func LayerNames() []string {
	layers := builtInLayers()
	names := make([]string, len(layers))
	for i, layer := range layers {
		names[i] = layer.Name
	}
	return names
}

// problem returns what is wrong with the layer and how to mend it, or "".
func (l Layer) problem() string {
	if len(l.Waits) == 0 || len(l.Waits) > maxAttempt {
		return fmt.Sprintf("%d waits: give 1 to %d", len(l.Waits), maxAttempt)
	}
	for _, wait := range l.Waits {
		if problem := wait.problem(); problem != "" {
			return "delay " + problem
		}
	}
	switch {
	case !(l.Growth >= 1) || math.IsInf(l.Growth, 0):
		return fmt.Sprintf("growth %v: give 1 or more", l.Growth)
	case l.Cap < 0 || l.Cap > maxWait:
		return fmt.Sprintf("cap %v: give 0s to %v", l.Cap, maxWait)
	case l.Growth > 1 && l.Cap == 0:
		return "growth without a cap: give one, like cap:30s"
	case l.Attempts < 0:
		return fmt.Sprintf("attempts %d: give 0 or more", l.Attempts)
	}
	return ""
}

// wait returns the time before an attempt after the number of attempts that failed since the loss.
func (l Layer) wait(failed int) Range {
	if failed < len(l.Waits) {
		return l.Waits[failed]
	}
	last := l.Waits[len(l.Waits)-1]
	if l.Growth == 1 {
		return last
	}
	factor := math.Pow(l.Growth, float64(failed-len(l.Waits)+1))
	grown := func(d time.Duration) time.Duration { return time.Duration(min(float64(d)*factor, float64(l.Cap))) }
	return Range{grown(last.Min), grown(last.Max)}
}

// longestWait returns the longest time before an attempt.
func (l Layer) longestWait() time.Duration {
	longest := l.Cap
	for _, wait := range l.Waits {
		longest = max(longest, wait.Max)
	}
	return longest
}

// ParseLayer reads a layer like mine=delay:1s-5s,growth:2,jitter:0.5,cap:30s,attempts:10. Several delays are
// separated by slashes. A jitter of 0.5 spreads each wait from half of it to one and a half. ParseLayer returns an
// *Error for other texts.
func ParseLayer(text string) (Layer, error) {
	name, settings, found := strings.Cut(text, "=")
	bad := func(format string, args ...any) error {
		return &Error{Field: "layer", Problem: fmt.Sprintf("%q: ", text) + fmt.Sprintf(format, args...)}
	}
	if !found || name == "" {
		return Layer{}, bad("give a name and a delay, like mine=delay:1s-5s")
	}
	layer, jitter := Layer{Name: name, Growth: 1}, 0.0
	for setting := range strings.SplitSeq(settings, ",") {
		key, value, _ := strings.Cut(setting, ":")
		var err error
		switch key {
		case "delay":
			layer.Waits, err = parseWaits(value)
		case "growth":
			layer.Growth, err = strconv.ParseFloat(value, 64)
		case "jitter":
			jitter, err = strconv.ParseFloat(value, 64)
		case "cap":
			layer.Cap, err = time.ParseDuration(value)
		case "attempts":
			layer.Attempts, err = strconv.Atoi(value)
		case "ends-at-close":
			layer.EndsAtClose = true
		case "ends-at-refusal":
			layer.EndsAtRefusal = true
		default:
			return Layer{}, bad("unknown setting %q: use delay, growth, jitter, cap, attempts, ends-at-close or "+
				"ends-at-refusal", key)
		}
		if err != nil {
			return Layer{}, bad("%s cannot be read: give it like delay:1s-5s,growth:2,jitter:0.5,cap:30s,attempts:10", setting)
		}
	}
	if !(jitter >= 0 && jitter <= 1) {
		return Layer{}, bad("jitter %v: give 0 to 1", jitter)
	}
	for i, wait := range layer.Waits {
		layer.Waits[i] = Range{scale(wait.Min, 1-jitter), scale(wait.Max, 1+jitter)}
	}
	if problem := layer.problem(); problem != "" {
		return Layer{}, bad("%s", problem)
	}
	return layer, nil
}

func parseWaits(text string) (waits []Range, err error) {
	for part := range strings.SplitSeq(text, "/") {
		wait, err := ParseRange("layer", part)
		if err != nil {
			return nil, err
		}
		waits = append(waits, wait)
	}
	return waits, nil
}

func scale(d time.Duration, factor float64) time.Duration { return time.Duration(float64(d) * factor) }

// ParseClients reads shares of layers like centrifuge or centrifuge=70,stompjs=30. extra are layers besides those that
// are built in. It returns an *Error for other texts.
func ParseClients(text string, extra []Layer) ([]Share, error) {
	known := append(append([]Layer{}, extra...), builtInLayers()...)
	bad := func(format string, args ...any) error {
		return &Error{Field: "clients", Problem: fmt.Sprintf(format, args...)}
	}
	var shares []Share
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		name, weight, weighted := strings.Cut(part, "=")
		share := Share{Weight: 1}
		if weighted {
			var err error
			if share.Weight, err = strconv.ParseFloat(weight, 64); err != nil || !(share.Weight > 0) {
				return nil, bad("%q is no share: give a number above 0, like %s=30", weight, name)
			}
		}
		for _, layer := range known {
			if layer.Name == name {
				share.Layer = layer
				break
			}
		}
		switch {
		case share.Layer.Name == "":
			return nil, bad("unknown layer %q: use %s, or describe it with --layer", name, strings.Join(LayerNames(), ", "))
		case seen[name]:
			return nil, bad("%s is there twice: give each layer once", name)
		}
		seen[name] = true
		shares = append(shares, share)
	}
	return shares, nil
}
