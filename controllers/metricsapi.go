package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/discovery"
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

func (m *metricsAPI) isServed(ctx context.Context) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.askedAt) < metricsRecheck {
		return m.served
	}
	m.served, m.askedAt = false, time.Now()
	for _, groupVersion := range []string{"custom.metrics.k8s.io/v1beta2", "custom.metrics.k8s.io/v1beta1"} {
		if m.ask(ctx, groupVersion) == nil {
			m.served = true
			break
		}
	}
	return m.served
}
