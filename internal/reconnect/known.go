package reconnect

import (
	"fmt"
	"strings"
	"time"
)

func exactly(waits ...time.Duration) []Wait {
	all := make([]Wait, len(waits))
	for i, wait := range waits {
		all[i] = Wait{wait, wait}
	}
	return all
}

// only returns a range of close codes with one code.
func only(code int) Codes { return Codes{code, code} }

// Known returns the layers with a name. docs/clients.md has their versions and after which codes they come back. The
// first one is the default.
func Known() []Layer {
	const ms, s = time.Millisecond, time.Second
	return []Layer{
		{
			Name: "centrifuge", Waits: []Wait{
				{500 * ms, s}, {500 * ms, 1500 * ms}, {500 * ms, 2500 * ms}, {500 * ms, 4500 * ms}, {500 * ms, 8500 * ms},
				{500 * ms, 16500 * ms}, {500 * ms, 20 * s},
			}, Growth: 1, FinalCodes: []Codes{{3500, 3999}, {4500, 4999}},
		},
		{Name: "reconnecting-websocket", Waits: []Wait{{s, 5 * s}}, Growth: 1.3, Cap: 10 * s},
		{Name: "socket.io", Waits: []Wait{{500 * ms, 1500 * ms}}, Growth: 2, Cap: 5 * s},
		{Name: "stompjs", Waits: exactly(5 * s), Growth: 1},
		{Name: "sockette", Waits: exactly(s), Growth: 1, FinalCodes: []Codes{only(1001)}},
		{Name: "mqtt.js", Waits: exactly(s), Growth: 1},
		{Name: "react-use-websocket", Waits: exactly(5 * s), Growth: 1, Attempts: 20},
		{Name: "supabase", Waits: exactly(s, 2*s, 5*s, 10*s), Growth: 1},
		{Name: "y-websocket", Waits: exactly(200 * ms), Growth: 2, Cap: 2500 * ms, FinalCodes: []Codes{{4400, 4499}}},
		{
			Name: "phoenix", Waits: exactly(10*ms, 50*ms, 100*ms, 150*ms, 200*ms, 250*ms, 500*ms, s, 2*s, 5*s), Growth: 1,
		},
		{Name: "signalr", Waits: exactly(0, 2*s, 10*s, 30*s), Growth: 1, Attempts: 4},
		{Name: "trpc", Waits: exactly(0, 2*s), Growth: 2, Cap: 30 * s},
		{
			Name: "robust-websocket", Waits: exactly(0, 3*s, 10*s), Growth: 1, Attempts: 3, FinalCodes: []Codes{only(1008)},
		},
		{
			Name: "graphql-ws", Waits: []Wait{
				{1300 * ms, 4 * s}, {2300 * ms, 5 * s}, {4300 * ms, 7 * s}, {8300 * ms, 11 * s}, {16300 * ms, 19 * s},
			}, Growth: 1, Attempts: 5, EndsAtRefusal: true, FinalCodes: []Codes{only(1008), only(4400), {4500, 4999}},
		},
		{Name: "rxjs-retry", Waits: exactly(s), Growth: 1, EndsAtClose: true},
	}
}

// Names returns the names of the layers that Known returns.
func Names() []string {
	layers := Known()
	names := make([]string, len(layers))
	for i, layer := range layers {
		names[i] = layer.Name
	}
	return names
}

// Find returns the layer with a name: one of extra, or one of those that are known. It returns an error when there is
// none.
func Find(name string, extra []Layer) (Layer, error) {
	for _, layer := range append(append([]Layer{}, extra...), Known()...) {
		if layer.Name == name {
			return layer, nil
		}
	}
	return Layer{}, fmt.Errorf("unknown layer %q: use %s, or describe it with --layer", name, strings.Join(Names(), ", "))
}
