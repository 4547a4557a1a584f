package server

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/fleet"
)

const (
	// shareFor is how long one reading of a fleet answers all requests.
	shareFor = 2 * time.Second

	// readTimeout bounds one reading of a fleet. It is well below the 60 s after which the API server gives up, so that
	// the autoscaler is told why it has no metric.
	readTimeout = 10 * time.Second
)

// fleetReader asks the gateways of a fleet, as fleet.Reader does.
type fleetReader interface {
	Read(ctx context.Context, cluster client.ObjectKey, slots fleet.Slots) ([]fleet.Answer, error)
}

// reading is what the gateways of one fleet answered.
type reading struct {
	gateways []gateway
	at       time.Time
}

// readings reads fleets, and shares each reading among the requests of the moment. Its methods may be called by several
// goroutines at once.
type readings struct {
	reader fleetReader
	slots  fleet.Slots
	// tokenRefused is called with a fleet whose gateways do not know the token.
	tokenRefused func(client.ObjectKey)
	log          logr.Logger

	flights singleflight.Group
	// mu guards latest.
	mu sync.Mutex
	// latest has the latest reading of each fleet that was read within maxReportAge.
	latest map[client.ObjectKey]reading
}

func newReadings(reader fleetReader, tokenRefused func(client.ObjectKey), log logr.Logger) *readings {
	return &readings{
		reader:       reader,
		slots:        fleet.NewSlots(),
		tokenRefused: tokenRefused,
		log:          log,
		latest:       map[client.ObjectKey]reading{},
	}
}

// read returns a reading of the fleet that is at most shareFor old. It blocks until the gateways have answered or timed
// out. It returns the errors of fleet.Reader, and ctx.Err() when ctx ends first.
func (r *readings) read(ctx context.Context, cluster client.ObjectKey) (reading, error) {
	if latest, known := r.last(cluster); known && time.Since(latest.at) < shareFor {
		return latest, nil
	}
	// The flight has a context of its own: it must not end with the request that happened to begin it.
	flight := r.flights.DoChan(cluster.String(), func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		return r.readNow(own, cluster)
	})
	select {
	case result := <-flight:
		if result.Err != nil {
			return reading{}, result.Err
		}
		return result.Val.(reading), nil //nolint:forcetypeassert // of the function above
	case <-ctx.Done():
		return reading{}, ctx.Err()
	}
}

// readNow asks the gateways of the fleet. It returns the errors of fleet.Reader.
func (r *readings) readNow(ctx context.Context, cluster client.ObjectKey) (reading, error) {
	answers, err := r.reader.Read(ctx, cluster, r.slots)
	if err == nil && refusesToken(answers) {
		// The fleet was deleted and made again, or has another token: once more, with the token of now.
		r.tokenRefused(cluster)
		answers, err = r.reader.Read(ctx, cluster, r.slots)
	}
	if err != nil {
		return reading{}, err
	}
	last, _ := r.last(cluster)
	now := reading{gateways: merge(answers, last.gateways), at: time.Now()}
	r.store(cluster, now)
	for _, g := range now.gateways {
		if g.err != nil {
			r.log.Info("A gateway does not answer", "cluster", cluster, "pod", g.pod.Name, "reason", g.err.Error(),
				"lastReport", g.reportedAt)
		}
	}
	return now, nil
}

// refusesToken reports whether a gateway does not know the token that it was asked with.
func refusesToken(answers []fleet.Answer) bool {
	return slices.ContainsFunc(answers, func(answer fleet.Answer) bool {
		return errors.Is(answer.Err, fleet.ErrTokenRefused)
	})
}

// merge returns a gateway for each answer, with its report of last where it did not answer now.
func merge(answers []fleet.Answer, last []gateway) []gateway {
	before := make(map[types.UID]gateway, len(last))
	for _, g := range last {
		before[g.pod.UID] = g
	}
	merged := make([]gateway, 0, len(answers))
	for _, answer := range answers {
		g := gateway{pod: answer.Pod, report: answer.Report, reportedAt: answer.At, err: answer.Err}
		if answer.Err != nil {
			known := before[answer.Pod.UID]
			g.report, g.reportedAt = known.report, known.reportedAt
		}
		merged = append(merged, g)
	}
	return merged
}

// last returns the latest reading of the fleet, or false when there is none.
func (r *readings) last(cluster client.ObjectKey) (reading, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	latest, known := r.latest[cluster]
	return latest, known
}

// store keeps the reading, and forgets those that are too old to be of use.
func (r *readings) store(cluster client.ObjectKey, now reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.latest, func(_ client.ObjectKey, old reading) bool {
		return time.Since(old.at) > maxReportAge
	})
	r.latest[cluster] = now
}
