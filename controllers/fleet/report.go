package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// These bounds keep the answer of a pod from filling the operator's memory or a status. Both are far above what a
// gateway sends.
const (
	maxReportBytes = 64 << 10
	maxReasonBytes = 256
)

// errNegative means that a report has a negative number of connections, or a negative rate.
var errNegative = errors.New("it has a negative number of connections")

// readReport reads one report from body and cuts its drain reason to maxReasonBytes. It returns errNegative for a
// negative number, and an error that wraps the decoder's for anything that is not a report.
func readReport(body io.Reader) (contract.GatewayReport, error) {
	var report contract.GatewayReport
	if err := json.NewDecoder(io.LimitReader(body, maxReportBytes)).Decode(&report); err != nil {
		return contract.GatewayReport{}, fmt.Errorf("it is no report: %w", err)
	}
	if report.Connections < 0 || report.MaxConnections < 0 || report.ConnectRate != nil && *report.ConnectRate < 0 {
		return contract.GatewayReport{}, errNegative
	}
	if report.Drain != nil && len(report.Drain.Reason) > maxReasonBytes {
		report.Drain.Reason = strings.ToValidUTF8(report.Drain.Reason[:maxReasonBytes], "")
	}
	return report, nil
}
