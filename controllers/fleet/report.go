package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// What a pod answers must not fill the operator's memory or a status: both bounds are far more than
// a gateway needs.
const (
	maxReportBytes = 64 << 10
	maxReasonBytes = 256
)

var errNegative = errors.New("it counts fewer than no connections")

// readReport takes only a report that a status can be made from.
func readReport(body io.Reader) (contract.GatewayReport, error) {
	var report contract.GatewayReport
	if err := json.NewDecoder(io.LimitReader(body, maxReportBytes)).Decode(&report); err != nil {
		return contract.GatewayReport{}, fmt.Errorf("it is no report: %w", err)
	}
	if report.Connections < 0 || report.MaxConnections < 0 {
		return contract.GatewayReport{}, errNegative
	}
	if report.Drain != nil && len(report.Drain.Reason) > maxReasonBytes {
		report.Drain.Reason = strings.ToValidUTF8(report.Drain.Reason[:maxReasonBytes], "")
	}
	return report, nil
}
