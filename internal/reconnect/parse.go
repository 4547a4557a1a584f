package reconnect

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads a layer like mine=delay:1s-5s,growth:2,jitter:0.5,cap:30s,attempts:10. Several delays are separated by
// slashes. A jitter of 0.5 spreads each wait from half of it to one and a half. Parse returns an error for other texts.
func Parse(text string) (Layer, error) {
	name, settings, found := strings.Cut(text, "=")
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%q: %s", text, fmt.Sprintf(format, args...))
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
		layer.Waits[i] = Wait{scale(wait.Min, 1-jitter), scale(wait.Max, 1+jitter)}
	}
	if problem := layer.Problem(); problem != "" {
		return Layer{}, bad("%s", problem)
	}
	return layer, nil
}

func parseWaits(text string) (waits []Wait, err error) {
	for part := range strings.SplitSeq(text, "/") {
		wait, err := ParseWait(part)
		if err != nil {
			return nil, err
		}
		waits = append(waits, wait)
	}
	return waits, nil
}

func scale(d time.Duration, factor float64) time.Duration { return time.Duration(float64(d) * factor) }
