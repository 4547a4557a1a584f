package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	// DefaultInterval is the time between two scrapes of a fleet.
	DefaultInterval = 5 * time.Second

	// reportTTL is how long the last report of a gateway that no longer answers is kept.
	reportTTL = time.Minute
)

// Source is where the monitor finds fleets.
type Source interface {
	GatewaySource
	// Clusters lists all clusters. The caller does not change them. It returns an error when the list cannot be read.
	Clusters(ctx context.Context) ([]v1alpha1.WebSocketCluster, error)
}

// MonitorOptions are the parts and settings of a Monitor. All are required.
type MonitorOptions struct {
	Source  Source
	Scraper *Scraper
	// Interval is the time between two scrapes of a fleet.
	Interval time.Duration
	// Failures counts the scrapes that returned no report.
	Failures prometheus.Counter
	Log      logr.Logger
}

// Monitor scrapes every fleet at an interval and enqueues the clusters whose status is out of date. It runs on the
// leader only. Its methods may be called by several goroutines at once.
type Monitor struct {
	options MonitorOptions
	reader  *Reader
	changed chan event.GenericEvent
	lanes   lanes
	// underway are the scrapes that scrapeAll has started.
	underway sync.WaitGroup

	// mu guards fleets and what its values point to.
	mu     sync.Mutex
	fleets map[client.ObjectKey]*fleetState
}

// fleetState is what the monitor knows of one fleet.
type fleetState struct {
	// latest is the result of the latest scrape.
	latest Snapshot
	// silent reports whether a gateway left that scrape unanswered.
	silent bool
	// published is the snapshot that the fleet's status is made from. It becomes latest when promote finds it outdated.
	published   Snapshot
	publishedAt time.Time
}

// NewMonitor returns a Monitor for the fleets of options.Source. Start starts it.
func NewMonitor(options MonitorOptions) *Monitor {
	return &Monitor{
		options: options,
		reader:  NewReader(options.Source, options.Scraper, options.Failures),
		changed: make(chan event.GenericEvent),
		lanes:   newLanes(),
		fleets:  map[client.ObjectKey]*fleetState{},
	}
}

// Changed returns a channel that receives an event for each cluster whose status is out of date. It is never closed.
func (m *Monitor) Changed() <-chan event.GenericEvent { return m.changed }

// StatusSnapshot returns the snapshot that the fleet's status is made from. It stays the same until a change is worth
// a write of the status. The result is false while the fleet has not been scraped; the caller then calls ScrapeNow.
func (m *Monitor) StatusSnapshot(cluster client.ObjectKey) (Snapshot, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := m.fleets[cluster]; state != nil && !state.publishedAt.IsZero() {
		return state.published, true
	}
	return Snapshot{}, false
}

// LatestSnapshot returns the result of the fleet's latest scrape. The result is false while the fleet has not been
// scraped.
func (m *Monitor) LatestSnapshot(cluster client.ObjectKey) (Snapshot, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := m.fleets[cluster]; state != nil {
		return state.latest, true
	}
	return Snapshot{}, false
}

// ScrapeNow scrapes one fleet and returns the snapshot that its status is made from. It blocks until every gateway has
// answered or timed out. The snapshot is empty when the fleet cannot be scraped yet.
func (m *Monitor) ScrapeNow(ctx context.Context, cluster client.ObjectKey) Snapshot {
	m.scrape(ctx, cluster, NewSlots())
	m.promote(cluster)
	snapshot, _ := m.StatusSnapshot(cluster)
	return snapshot
}

// NeedLeaderElection reports that only the leader scrapes.
func (m *Monitor) NeedLeaderElection() bool { return true }

// Start scrapes all fleets at the interval until ctx ends. It always returns nil: errors are logged, and the next
// interval tries again.
func (m *Monitor) Start(ctx context.Context) error {
	defer m.options.Scraper.Close()
	defer m.underway.Wait()
	ticker := time.NewTicker(m.options.Interval)
	defer ticker.Stop()
	for {
		if err := m.scrapeAll(ctx); err != nil && ctx.Err() == nil {
			m.options.Log.Error(err, "Could not scrape the fleets; trying again", "after", m.options.Interval)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// scrapeAll starts a scrape of every fleet that is not being scraped, and does not wait for the last ones to end. It
// returns an error when the clusters cannot be listed, or ctx.Err() when ctx ends first.
func (m *Monitor) scrapeAll(ctx context.Context) error {
	clusters, err := m.options.Source.Clusters(ctx)
	if err != nil {
		return fmt.Errorf("list clusters: %w", err)
	}
	m.forgetAllBut(clusters)
	// In another order each time, so that no fleet is always the one for which the lane of silent fleets has no place.
	for _, i := range rand.Perm(len(clusters)) {
		cluster := &clusters[i]
		key := client.ObjectKeyFromObject(cluster)
		lane := m.lanes.of(m.isSilent(key))
		entered, err := lane.enter(ctx, key)
		if err != nil {
			return err
		}
		if !entered {
			continue
		}
		m.underway.Go(func() {
			defer lane.leave(key)
			m.endWaiting(ctx, cluster, m.scrape(ctx, key, lane.slots))
			m.enqueueIfChanged(ctx, cluster)
		})
	}
	return nil
}

// scrape scrapes one fleet and stores the result as its latest snapshot. Each request holds one of the slots. It
// returns what the gateways answered.
func (m *Monitor) scrape(ctx context.Context, cluster client.ObjectKey, slots Slots) []Answer {
	log := m.options.Log.WithValues("cluster", cluster)
	answers, err := m.reader.Read(ctx, cluster, slots)
	if errors.Is(err, ErrNoToken) {
		// Before the first reconcile there is none.
		log.V(1).Info("No admin token yet", "reason", err.Error())
		return nil
	}
	if err != nil {
		log.Error(err, "Could not scrape the fleet")
		return nil
	}
	gateways, asked := make(map[types.UID]Gateway, len(answers)), make(map[types.UID]bool, len(answers))
	for _, answer := range answers {
		if IsReady(answer.Pod) {
			asked[answer.Pod.UID] = true
		}
		if gateway, known := m.gatewayOf(log, cluster, answer); known {
			gateways[answer.Pod.UID] = gateway
		}
	}
	m.store(cluster, Snapshot{Gateways: gateways, Asked: asked}, slices.ContainsFunc(answers, Answer.silent))
	return answers
}

// gatewayOf returns the gateway's report, or its last report for up to reportTTL when the gateway did not answer. The
// result is false when there is neither.
func (m *Monitor) gatewayOf(log logr.Logger, cluster client.ObjectKey, answer Answer) (Gateway, bool) {
	if answer.Err == nil {
		return Gateway{Pod: answer.Pod.Name, Report: answer.Report, ReportedAt: answer.At}, true
	}
	log.V(1).Info("A gateway does not answer", "pod", answer.Pod.Name, "reason", answer.Err.Error())
	gateway, known := m.lastReport(cluster, answer.Pod.UID)
	gateway.Stale = true
	return gateway, known
}

// store makes snapshot the fleet's latest one, and notes whether a gateway was silent.
func (m *Monitor) store(cluster client.ObjectKey, snapshot Snapshot, silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	if state == nil {
		state = &fleetState{}
		m.fleets[cluster] = state
	}
	state.latest, state.silent = snapshot, silent
}

// storeReport makes report the pod's latest one. Snapshots are shared, so it makes a new one.
func (m *Monitor) storeReport(cluster client.ObjectKey, pod *corev1.Pod, report contract.GatewayReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	if state == nil {
		return
	}
	gateways := maps.Clone(state.latest.Gateways)
	if gateways == nil {
		gateways = map[types.UID]Gateway{}
	}
	gateways[pod.UID] = Gateway{Pod: pod.Name, Report: report, ReportedAt: time.Now()}
	state.latest.Gateways = gateways
}

// lastReport returns the pod's last report, or false when there is none that is younger than reportTTL.
func (m *Monitor) lastReport(cluster client.ObjectKey, pod types.UID) (Gateway, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	if state == nil {
		return Gateway{}, false
	}
	gateway, known := state.latest.Gateways[pod]
	return gateway, known && time.Since(gateway.ReportedAt) < reportTTL
}

// enqueueIfChanged triggers a reconcile of the cluster when its status is out of date. It blocks until the controller
// has taken it, or ctx ends.
func (m *Monitor) enqueueIfChanged(ctx context.Context, cluster *v1alpha1.WebSocketCluster) {
	if !m.promote(client.ObjectKeyFromObject(cluster)) {
		return
	}
	select {
	case m.changed <- event.GenericEvent{Object: cluster}:
	case <-ctx.Done():
	}
}

// isSilent reports whether a gateway of the fleet left the latest scrape unanswered.
func (m *Monitor) isSilent(cluster client.ObjectKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	return state != nil && state.silent
}

// promote publishes the fleet's latest snapshot if the published one is outdated, and reports whether the status has
// to be made again. The first snapshot is published even when it is empty.
func (m *Monitor) promote(cluster client.ObjectKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	if state == nil {
		return false
	}
	changed := outdated(state.published, state.latest, time.Since(state.publishedAt))
	if changed || state.publishedAt.IsZero() {
		state.published, state.publishedAt = state.latest, time.Now()
	}
	return changed
}

// forgetAllBut drops the fleets that are not among clusters.
func (m *Monitor) forgetAllBut(clusters []v1alpha1.WebSocketCluster) {
	keep := make(map[client.ObjectKey]bool, len(clusters))
	for i := range clusters {
		keep[client.ObjectKeyFromObject(&clusters[i])] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.fleets {
		if !keep[key] {
			delete(m.fleets, key)
		}
	}
}
