package fleet

import "github.com/wsfleet/wsfleet/internal/contract"

// Refusals from which on they count, in clients per second: three and sixty in the last minute.
const (
	// MinRejectRate is for contract.GatewayReport.RejectRate.
	MinRejectRate = 0.05
	// MinCrowdRate is for contract.GatewayReport.CrowdRate.
	MinCrowdRate = 1
)

// Refuses reports whether a gateway refuses clients, for whatever reason, more often than some do anywhere.
func Refuses(report contract.GatewayReport) bool {
	reject, crowd := report.RejectRate, report.CrowdRate
	return reject != nil && *reject >= MinRejectRate || crowd != nil && *crowd >= MinCrowdRate
}
