package controllers

import (
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// statusPace puts a minimum time between two writes of a cluster's status, so that a fleet whose pods come up one after
// the other does not cause a write for each. A status of a newer generation is written at once. Its methods may be
// called by several goroutines at once.
type statusPace struct {
	interval time.Duration
	now      func() time.Time

	// mu guards written.
	mu sync.Mutex
	// written has the latest write of each cluster's status.
	written map[client.ObjectKey]statusWrite
}

// statusWrite is one write of a status.
type statusWrite struct {
	at         time.Time
	generation int64
}

func newStatusPace(interval time.Duration) *statusPace {
	return &statusPace{interval: interval, now: time.Now, written: map[client.ObjectKey]statusWrite{}}
}

// delay returns how long a new status of the cluster has to wait, and 0 when it is to be written now.
func (p *statusPace) delay(cluster *v1alpha1.WebSocketCluster) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.written[client.ObjectKeyFromObject(cluster)]
	if last.generation != cluster.Generation {
		return 0
	}
	return max(0, p.interval-p.now().Sub(last.at))
}

// wrote notes that the status of the cluster's generation was written now.
func (p *statusPace) wrote(cluster *v1alpha1.WebSocketCluster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written[client.ObjectKeyFromObject(cluster)] = statusWrite{at: p.now(), generation: cluster.Generation}
}

// forget drops a cluster that was deleted.
func (p *statusPace) forget(cluster client.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.written, cluster)
}
