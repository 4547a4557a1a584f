package fleet

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Snapshot is what the gateways of one cluster said last, by the UID of their pods. A pod that never
// answered is not in it.
type Snapshot struct {
	Gateways map[types.UID]Gateway
}

// Gateway is one gateway's own report.
type Gateway struct {
	Pod        string
	Report     contract.GatewayReport
	ReportedAt time.Time
	// Silent is a gateway that answered before, and does not now.
	Silent bool
}

// Connections are the clients on all gateways, draining ones too.
func (s Snapshot) Connections() int64 {
	var sum int64
	for _, gateway := range s.Gateways {
		sum += int64(gateway.Report.Connections)
	}
	return sum
}
