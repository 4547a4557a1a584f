package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

const (
	// DefaultInterval is the time between two scrapes of a fleet.
	DefaultInterval = 5 * time.Second

	// scrapesAtOnce bounds the operator's open requests to gateways.
	scrapesAtOnce = 32

	// forgetAfter is how long a report counts of a gateway that no longer answers.
	forgetAfter = time.Minute
)

// Source is where the monitor finds fleets.
type Source interface {
	// Clusters lists all clusters.
	Clusters(ctx context.Context) ([]v1alpha1.WebSocketCluster, error)
	// Pods lists a cluster's gateway pods.
	Pods(ctx context.Context, cluster client.ObjectKey) ([]corev1.Pod, error)
	// Token is the bearer token of a cluster's admin endpoints.
	Token(ctx context.Context, cluster client.ObjectKey) (string, error)
}

// Monitor scrapes every fleet at an interval and tells when what a status shows is out of date. It
// runs on the leader only.
type Monitor struct {
	source   Source
	scraper  *Scraper
	interval time.Duration
	log      logr.Logger
	changed  chan event.GenericEvent

	mu     sync.Mutex
	fleets map[client.ObjectKey]*fleetState
}

type fleetState struct {
	latest  Snapshot
	shown   Snapshot
	shownAt time.Time
}

// NewMonitor scrapes what source lists.
func NewMonitor(source Source, scraper *Scraper, interval time.Duration, log logr.Logger) *Monitor {
	return &Monitor{
		source:   source,
		scraper:  scraper,
		interval: interval,
		log:      log,
		changed:  make(chan event.GenericEvent),
		fleets:   map[client.ObjectKey]*fleetState{},
	}
}

// Changed has an event for each cluster whose status is out of date.
func (m *Monitor) Changed() <-chan event.GenericEvent { return m.changed }

// Shown is the snapshot that a status is to be made from. It stays the same while nothing has
// changed that is worth a write. A fleet that no round has been at is looked at here: an operator
// that has just started must not report a running fleet as one without clients.
func (m *Monitor) Shown(ctx context.Context, cluster client.ObjectKey) Snapshot {
	if shown, known := m.shown(cluster); known {
		return shown
	}
	m.look(ctx, cluster, make(chan struct{}, scrapesAtOnce))
	m.show(cluster)
	shown, _ := m.shown(cluster)
	return shown
}

func (m *Monitor) shown(cluster client.ObjectKey) (Snapshot, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := m.fleets[cluster]; state != nil && !state.shownAt.IsZero() {
		return state.shown, true
	}
	return Snapshot{}, false
}

// NeedLeaderElection keeps operators that wait from scraping.
func (m *Monitor) NeedLeaderElection() bool { return true }

// Start scrapes until the context ends.
func (m *Monitor) Start(ctx context.Context) error {
	defer m.scraper.Close()
	ticker := time.NewTicker(m.interval)
	defer ticker.Stop()
	for {
		if err := m.round(ctx); err != nil && ctx.Err() == nil {
			m.log.Error(err, "Could not look at the fleets; trying again", "after", m.interval)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round looks at every fleet once.
func (m *Monitor) round(ctx context.Context) error {
	clusters, err := m.source.Clusters(ctx)
	if err != nil {
		return fmt.Errorf("list clusters: %w", err)
	}
	m.forgetAllBut(clusters)

	// A slot per request, so that one large or slow fleet cannot open requests without end.
	slots := make(chan struct{}, scrapesAtOnce)
	var group errgroup.Group
	group.SetLimit(scrapesAtOnce)
	for i := range clusters {
		group.Go(func() error {
			m.look(ctx, client.ObjectKeyFromObject(&clusters[i]), slots)
			return nil
		})
	}
	_ = group.Wait() // look reports what went wrong itself

	return m.tell(ctx, clusters)
}

// look scrapes one fleet. A gateway that does not answer keeps its last report for a while.
func (m *Monitor) look(ctx context.Context, cluster client.ObjectKey, slots chan struct{}) {
	log := m.log.WithValues("cluster", cluster)
	pods, err := m.source.Pods(ctx, cluster)
	if err != nil {
		log.Error(err, "Could not list gateway pods")
		return
	}
	token, err := m.source.Token(ctx, cluster)
	if err != nil {
		// Before the first reconcile there is none.
		log.V(1).Info("No admin token yet", "reason", err.Error())
		return
	}

	var (
		mu       sync.Mutex
		gateways = make(map[types.UID]Gateway, len(pods))
		group    errgroup.Group
	)
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodRunning {
			continue
		}
		slots <- struct{}{}
		group.Go(func() error {
			defer func() { <-slots }()
			report, err := m.scraper.Scrape(ctx, pod, token)
			gateway := Gateway{Pod: pod.Name, Report: report, ReportedAt: time.Now()}
			if err != nil {
				log.V(1).Info("A gateway does not answer", "pod", pod.Name, "reason", err.Error())
				var known bool
				if gateway, known = m.lastReport(cluster, pod.UID); !known {
					return nil
				}
				gateway.Silent = true
			}
			mu.Lock()
			defer mu.Unlock()
			gateways[pod.UID] = gateway
			return nil
		})
	}
	_ = group.Wait() // a gateway that does not answer is not an error

	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	if state == nil {
		state = &fleetState{}
		m.fleets[cluster] = state
	}
	state.latest = Snapshot{Gateways: gateways}
}

func (m *Monitor) lastReport(cluster client.ObjectKey, pod types.UID) (Gateway, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	if state == nil {
		return Gateway{}, false
	}
	gateway, known := state.latest.Gateways[pod]
	return gateway, known && time.Since(gateway.ReportedAt) < forgetAfter
}

// tell triggers a reconcile of each fleet whose status is out of date.
func (m *Monitor) tell(ctx context.Context, clusters []v1alpha1.WebSocketCluster) error {
	for i := range clusters {
		if !m.show(client.ObjectKeyFromObject(&clusters[i])) {
			continue
		}
		select {
		case m.changed <- event.GenericEvent{Object: &clusters[i]}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// show makes the latest snapshot the shown one where that is worth it.
func (m *Monitor) show(cluster client.ObjectKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.fleets[cluster]
	if state == nil {
		return false
	}
	worth := worthShowing(state.shown, state.latest, time.Since(state.shownAt))
	if worth || state.shownAt.IsZero() {
		state.shown, state.shownAt = state.latest, time.Now()
	}
	return worth
}

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
