package fleet

import (
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// DrainEnds returns when a gateway that drains will have closed its last connection at the pace of its report, which is
// of a time, without regard to its deadline. propagationDelay is how long it closes none at its beginning. DrainEnds
// returns false when the end is not known: the gateway reports no pace, or waits for another one.
func DrainEnds(
	report contract.GatewayReport, at time.Time, propagationDelay time.Duration,
) (ends time.Time, known bool) {
	drain := report.Drain
	if drain == nil || drain.ClosesPerSecond == 0 || drain.WaitsForAnother {
		return time.Time{}, false
	}
	if began := drain.StartedAt.Add(propagationDelay); at.Before(began) {
		at = began
	}
	seconds := float64(report.Connections-drain.Keep) / drain.ClosesPerSecond
	return at.Add(time.Duration(seconds * float64(time.Second))), true
}
