package load

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// Group is a number of clients of live that come back by the same layer.
type Group struct {
	Clients int
	Layer   reconnect.Layer
	// Plain clients speak the plain protocol, and recover nothing. The others speak the Centrifuge protocol and recover.
	Plain bool
}

// String returns the group as ParseGroup reads it, without its number of clients.
func (g Group) String() string {
	if g.Plain {
		return g.Layer.Name + ":" + string(Plain)
	}
	return g.Layer.Name
}

// ParseGroup reads a group like 100:stompjs or 100:stompjs:plain. extra are layers besides those that have a name
// already. It returns an *Error for other texts.
func ParseGroup(text string, extra []reconnect.Layer) (Group, error) {
	bad := func(problem string) error {
		return &Error{Flag: "group", Problem: fmt.Sprintf("%q: %s", text, problem)}
	}
	parts := strings.Split(text, ":")
	clients, err := strconv.Atoi(parts[0])
	if err != nil || len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && parts[2] != string(Plain) {
		return Group{}, bad("give a number and a layer, like 100:stompjs or 100:stompjs:plain")
	}
	layer, err := reconnect.Find(parts[1], extra)
	if err != nil {
		return Group{}, bad(err.Error())
	}
	return Group{Clients: clients, Layer: layer, Plain: len(parts) == 3}, nil
}

// publisherLayer is the layer of live's publishers. They come back sooner than most clients, so that there is something
// to recover.
var publisherLayer = reconnect.Layer{
	Waits:  []reconnect.Wait{{Min: 50 * time.Millisecond, Max: 150 * time.Millisecond}},
	Growth: 1.5,
	Cap:    time.Second,
}

// groupRanges returns the clients of each group, in their order. Those of the first group begin at first.
func groupRanges(first int, groups []Group) []Range {
	ranges := make([]Range, len(groups))
	for i, g := range groups {
		ranges[i] = Range{first, first + g.Clients}
		first += g.Clients
	}
	return ranges
}

// validateLive checks the options that only live has, and those that it does not have.
func (o *Options) validateLive(refuse func(bad bool, flag, format string, args ...any)) {
	if o.Scenario != Live {
		refuse(o.Reconnect.Name != "", "reconnect", "only the clients of live come back by a layer: leave it out")
		refuse(len(o.Groups) > 0, "group", "only live has groups: leave it out")
		refuse(o.Events != "", "events", "only live marks events: leave it out")
		return
	}
	refuse(o.Protocol == Plain, "protocol", "the clients of live recover, which the plain protocol cannot: "+
		"leave it out, and give plain clients as a group, like --group 100:stompjs:plain")
	refuse(o.Window > 0, "window", "would wait for clients that are away: give --rate")
	for _, g := range o.Groups {
		refuse(g.Clients < 1, "group", "%d clients are no group: give 1 or more, like 100:stompjs", g.Clients)
		problem := g.Layer.Problem()
		refuse(problem != "", "group", "%s: %s", g.Layer.Name, problem)
	}
	problem := o.Reconnect.Problem()
	refuse(o.Reconnect.Name != "" && problem != "", "reconnect", "%s: %s", o.Reconnect.Name, problem)
}

// applyLiveDefaults makes the clients that belong to no group the first one.
func (o *Options) applyLiveDefaults() {
	if o.Reconnect.Name == "" {
		o.Reconnect = reconnect.Known()[0]
	}
	o.Groups = append([]Group{{Clients: o.Clients, Layer: o.Reconnect}}, o.Groups...)
	o.Clients = 0
	for _, g := range o.Groups {
		o.Clients += g.Clients
	}
	// SDKs subscribe once connect is answered. What happens to clients before a moment counts as much as after it.
	o.ConnectFirst, o.Warmup = true, 0
}
