package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// RecheckInterval is how long the detector keeps an answer.
const RecheckInterval = time.Minute

// requestTimeout bounds one request of DiscoveryProbe.
const requestTimeout = 5 * time.Second

// Probe requests a group version, such as custom.metrics.k8s.io/v1beta2. It returns nil when the API server serves it,
// and the API server's error otherwise.
type Probe func(ctx context.Context, groupVersion string) error

// DiscoveryProbe returns a Probe that requests the API itself. The API server passes the request on to the adapter that
// is registered for it, so that an adapter that is down counts as none.
func DiscoveryProbe(disco discovery.DiscoveryInterface) Probe {
	return func(ctx context.Context, groupVersion string) error {
		request := disco.RESTClient().Get().AbsPath("/apis/" + groupVersion).Timeout(requestTimeout)
		return request.Do(ctx).Error()
	}
}

// Detector finds out whether the custom metrics API is served. Its methods may be called by several goroutines at once.
type Detector struct {
	probe Probe

	// mu guards the fields below.
	mu      sync.Mutex
	served  bool
	askedAt time.Time
}

// NewDetector returns a Detector that asks with probe.
func NewDetector(probe Probe) *Detector {
	return &Detector{probe: probe}
}

// Served reports whether the API is served. It asks the API server when the last answer is older than RecheckInterval,
// and blocks until the answer has come. An error that says nothing about the API leaves the last answer as it was;
// before the first answer it counts as not served.
func (d *Detector) Served(ctx context.Context) bool {
	if served, fresh := d.lastAnswer(); fresh {
		return served
	}
	// The lock is not held meanwhile: one slow adapter must not make every other fleet wait.
	served, err := d.ask(ctx)

	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		log.FromContext(ctx).Info("Could not tell whether the custom metrics API is served", "error", err.Error())
		if d.askedAt.IsZero() {
			return false
		}
		served = d.served
	}
	d.served, d.askedAt = served, time.Now()
	return served
}

// lastAnswer returns the last answer, and whether it is young enough to be used.
func (d *Detector) lastAnswer() (served, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.served, time.Since(d.askedAt) < RecheckInterval
}

// ask reports whether either version of the API is served. It returns an error when none is and the API server's answer
// to one of them does not tell.
func (d *Detector) ask(ctx context.Context) (bool, error) {
	var unsure error
	for _, groupVersion := range []string{"custom.metrics.k8s.io/v1beta2", "custom.metrics.k8s.io/v1beta1"} {
		err := d.probe(ctx, groupVersion)
		switch {
		case err == nil:
			return true, nil
		case !apierrors.IsNotFound(err) && !apierrors.IsServiceUnavailable(err):
			unsure = errors.Join(unsure, fmt.Errorf("%s: %w", groupVersion, err))
		}
	}
	return false, unsure
}
