package fleet

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Snapshot holds the latest reports of one cluster's gateways by the UID of their pods. A pod that never reported is
// not among Gateways. Snapshots are shared: the caller must not change their maps.
type Snapshot struct {
	Gateways map[types.UID]Gateway
	// Asked are the UIDs of the pods that were ready when the latest scrape asked them, whether they answered or not.
	Asked map[types.UID]bool
}

// Gateway is the latest report of one gateway.
type Gateway struct {
	// Pod is the name of the gateway's pod.
	Pod string
	// Report is the latest report that the operator received.
	Report contract.GatewayReport
	// ReportedAt is when the operator received Report.
	ReportedAt time.Time
	// Stale reports whether the gateway left the latest scrape unanswered, so that Report is an earlier one.
	Stale bool
}

// Connections returns the number of clients on all gateways, draining gateways included.
func (s Snapshot) Connections() int64 {
	var sum int64
	for _, gateway := range s.Gateways {
		sum += int64(gateway.Report.Connections)
	}
	return sum
}
