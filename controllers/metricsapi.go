package controllers

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

// metricsRecheck is how long an answer of the metrics API's presence counts.
const metricsRecheck = time.Minute

// metricsAPI knows whether something serves custom.metrics.k8s.io. It asks for the API itself, which
// the API server passes on, so that a registered adapter that is down counts as none.
type metricsAPI struct {
	ask func(ctx context.Context, groupVersion string) error

	mu      sync.Mutex
	served  bool
	askedAt time.Time
}

func newMetricsAPI(disco discovery.DiscoveryInterface) *metricsAPI {
	return &metricsAPI{ask: func(ctx context.Context, groupVersion string) error {
		return disco.RESTClient().Get().AbsPath("/apis/" + groupVersion).Timeout(5 * time.Second).Do(ctx).Error()
	}}
}

// isServed is the last answer. An error that says nothing about the API leaves it as it was.
func (m *metricsAPI) isServed(ctx context.Context) bool {
	if served, fresh := m.known(); fresh {
		return served
	}
	// Not under the lock: one slow adapter must not make every other fleet wait.
	served, err := m.look(ctx)

	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		log.FromContext(ctx).Info("Could not tell whether the custom metrics API is served", "error", err.Error())
		if m.askedAt.IsZero() {
			return false
		}
		served = m.served
	}
	m.served, m.askedAt = served, time.Now()
	return served
}

func (m *metricsAPI) known() (served, fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.served, time.Since(m.askedAt) < metricsRecheck
}

func (m *metricsAPI) look(ctx context.Context) (bool, error) {
	var unsure error
	for _, groupVersion := range []string{"custom.metrics.k8s.io/v1beta2", "custom.metrics.k8s.io/v1beta1"} {
		err := m.ask(ctx, groupVersion)
		switch {
		case err == nil:
			return true, nil
		case !apierrors.IsNotFound(err) && !apierrors.IsServiceUnavailable(err):
			unsure = errors.Join(unsure, fmt.Errorf("%s: %w", groupVersion, err))
		}
	}
	return false, unsure
}
