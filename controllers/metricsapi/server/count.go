package server

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// maxReportAge is how long the last report of a gateway that no longer answers is used.
const maxReportAge = 30 * time.Second

// gateway is what is known of one running gateway.
type gateway struct {
	pod *corev1.Pod
	// report is the latest report, and reportedAt is when it came. They are zero when the gateway has never answered.
	report     contract.GatewayReport
	reportedAt time.Time
	// err says why the gateway did not answer just now. It is nil when it did.
	err error
}

// verdict says how a gateway counts in a metric of its fleet.
type verdict int

const (
	// counts means that the gateway's report is used.
	counts verdict = iota
	// holdsNone means that the gateway holds no connections: its process is not there.
	holdsNone
	// unknown means that the gateway may hold connections, and their number is not known.
	unknown
)

// judge returns how the gateway counts at now.
//
// A gateway whose port refuses connections has no process, and with its process went its clients; they are counted
// where they are now. Its last report would count them twice. So would that of a gateway whose pod is being deleted and
// that no longer answers: it has handed its clients over, and with its process its address may go. For any other
// silence the last report is used for maxReportAge. After that the readiness probe decides, which asks the same port
// from the gateway's own node: a gateway that is not ready is dead or has not begun, and one that is ready cannot be
// reached from here.
func (g gateway) judge(now time.Time) verdict {
	recent := !g.reportedAt.IsZero() && now.Sub(g.reportedAt) <= maxReportAge
	switch {
	case g.err == nil:
		return counts
	case g.pod.DeletionTimestamp != nil:
		return holdsNone
	case errors.Is(g.err, syscall.ECONNREFUSED) && (recent || !fleet.IsReady(g.pod)):
		return holdsNone
	case recent:
		return counts
	case !fleet.IsReady(g.pod):
		return holdsNone
	default:
		return unknown
	}
}

// unknownError means that a metric cannot be computed, because the connections of gateways are not known.
type unknownError struct {
	silent []string
	// reason is why the first of them did not answer.
	reason error
}

// Error names the gateways and the remedy. The text is what the HorizontalPodAutoscaler shows.
func (e *unknownError) Error() string {
	return fmt.Sprintf("no report of the last %s from %s (%v): check that the metrics API can reach port %d of the "+
		"gateways, and that no NetworkPolicy forbids it", maxReportAge, nameSome(e.silent), e.reason, contract.AdminPort)
}

// maxNames is how many gateways a message names.
const maxNames = 3

// nameSome returns the first maxNames names, and how many more there are.
func nameSome(names []string) string {
	if len(names) <= maxNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
}

func (e *unknownError) Unwrap() error { return e.reason }

// counted is the part of a fleet that its metrics are computed from.
type counted struct {
	// gateways are those whose reports are used.
	gateways []gateway
	// stale are the names of the pods among them that did not answer just now.
	stale []string
	// at is when the oldest of the reports came.
	at time.Time
}

// count selects the gateways whose reports are used at now. It returns an unknownError when the connections of one
// gateway are not known, or when the fleet has gateways and none of them has answered.
func count(gateways []gateway, now time.Time) (counted, error) {
	result := counted{at: now}
	var missing unknownError
	for _, g := range gateways {
		switch g.judge(now) {
		case unknown:
			missing.add(g)
		case holdsNone:
		case counts:
			result.add(g)
		}
	}
	if len(result.gateways) == 0 && len(missing.silent) == 0 {
		// A sum of 0 would be a guess: it would have the whole fleet removed because it cannot be reached.
		for _, g := range gateways {
			missing.add(g)
		}
	}
	if len(missing.silent) > 0 {
		return counted{}, &missing
	}
	return result, nil
}

func (e *unknownError) add(g gateway) {
	if e.reason == nil {
		e.reason = g.err
	}
	e.silent = append(e.silent, g.pod.Name)
}

func (c *counted) add(g gateway) {
	c.gateways = append(c.gateways, g)
	if g.err != nil {
		c.stale = append(c.stale, g.pod.Name)
	}
	if g.reportedAt.Before(c.at) {
		c.at = g.reportedAt
	}
}

// connections returns the number of connections of the fleet, draining gateways included.
func (c counted) connections() (resource.Quantity, error) {
	var sum int64
	for _, g := range c.gateways {
		sum += int64(g.report.Connections)
	}
	return *resource.NewQuantity(sum, resource.DecimalSI), nil
}

// errNoneServes means that a fleet has no gateway that serves, so that none is the fullest.
var errNoneServes = errors.New("no gateway of the fleet serves")

// maxRatio returns the connections of the fullest serving gateway divided by its maximum, in thousandths and rounded
// up. It returns errNoneServes when no gateway serves.
func (c counted) maxRatio() (resource.Quantity, error) {
	highest := int64(-1)
	for _, g := range c.gateways {
		if limit := int64(g.report.MaxConnections); g.report.State == contract.StateServing && limit > 0 {
			highest = max(highest, (int64(g.report.Connections)*1000+limit-1)/limit)
		}
	}
	if highest < 0 {
		return resource.Quantity{}, errNoneServes
	}
	return *resource.NewMilliQuantity(highest, resource.DecimalSI), nil
}

// connectRate returns the number of connections that the fleet accepts per second. It returns an error that names the
// gateway and the remedy when a gateway is too old to report its rate.
func (c counted) connectRate() (resource.Quantity, error) {
	var sum float64
	for _, g := range c.gateways {
		if g.report.ConnectRate == nil {
			return resource.Quantity{}, fmt.Errorf("gateway %s has version %q, which reports no connect rate: "+
				"upgrade the image of the fleet (spec.image)", g.pod.Name, g.report.Version)
		}
		sum += *g.report.ConnectRate
	}
	return *resource.NewMilliQuantity(int64(sum*1000+0.5), resource.DecimalSI), nil
}
