package plan

import (
	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// HoldEvictions returns why no gateway that is ready must be evicted now, or "". A PodDisruptionBudget does not count
// gateways that still drain: it lets the next one be evicted as soon as the replacement of the one before is ready, so
// that all of a fleet could drain at once. The operator closes the budget meanwhile. The spec has its defaults set, and
// the fleet's size.
func HoldEvictions(spec v1alpha1.WebSocketClusterSpec, gateways []Gateway) string {
	ready := countWhere(gateways, func(g Gateway) bool { return g.ready() && !g.terminating() })
	return anyMustWait(spec, gateways, render.MaxDraining(spec)+ready-int(*spec.Replicas))
}
