package fleetbench

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
)

const (
	// withoutGateways is a fleet that needs no pod.
	withoutGateways = "{replicas: 0, redis: {}}"
	// tenants are the clusters that one tenant creates before the other creates one.
	tenants = 400
)

// Settings are the sizes and times of a run.
type Settings struct {
	// Assets is the directory of kube-apiserver and etcd.
	Assets string
	// Sizes are the numbers of clusters of the rows that grow.
	Sizes []int
	// Moving is the number of clusters whose counts change.
	Moving int
	// Rest is how long the operator is observed at rest, and while counts change.
	Rest time.Duration
	// Timeout bounds each wait for convergence.
	Timeout time.Duration
}

// Row is a measurement with its figures.
type Row struct {
	Name, About string
	Figures     []report.Figure
	// measure sets the values of the figures.
	measure func(context.Context, *bench) error
}

// Rows returns all rows for the settings.
func Rows(settings Settings) []Row {
	var rows []Row
	for _, n := range settings.Sizes {
		rows = append(rows, sizeRow(n))
	}
	return append(rows,
		Row{
			"full", "50 fleets of {}: two gateways and a managed Redis each", []report.Figure{
				figure("full-writes", "writes for {}, besides its objects", report.Count, report.AtMost, 4),
				figure("full-status", "... of which of the status", report.Count, report.None, 0),
				figure("full-dry-runs", "... dry runs", report.Count, report.AtMost, 0),
			}, fullFleets,
		},
		Row{
			"moving", fmt.Sprintf("%d fleets whose connections change with each scrape", settings.Moving), []report.Figure{
				figure("moving-writes", "writes per fleet and minute while its connections change", report.Count, report.None, 0),
				figure("moving-cpu", "cores while the connections of all change", report.Share, report.None, 0),
				figure("moving-rss", "resident memory of the operator then", report.Bytes, report.None, 0),
			}, movingFleets,
		},
		Row{
			"tenant", fmt.Sprintf("one tenant creates %d clusters, then another one", tenants), []report.Figure{
				figure("tenant-wait", "until the other tenant's Deployment is there", report.Seconds, report.AtMost, 2),
			}, tenantRow,
		},
		Row{
			"annotations", "700 Secrets of other applications with annotations of 240 KB", []report.Figure{
				figure("annotations-rss", "more memory for 700 Secrets of others", report.Bytes, report.AtMost, 10e6),
				figure("annotations-peak", "peak of an operator that starts with them", report.Bytes, report.AtMost, 100e6),
			}, annotationsRow,
		},
		Row{
			"named", "40 clusters that each name five Secrets of 1 MB", []report.Figure{
				figure("named-rss", "more memory for 200 named Secrets of 1 MB", report.Bytes, report.AtMost, 10e6),
				figure("named-after", "... after all were deleted", report.Bytes, report.AtMost, 10e6),
			}, namedRow,
		},
	)
}

func figure(key, name string, unit report.Unit, kind report.GoalKind, goal float64) report.Figure {
	return report.Figure{Key: key, Name: name, Unit: unit, Goal: report.Goal{Kind: kind, Value: goal}}
}

// sizeRow returns the row of n clusters without gateways. Only that of 1,000 has the goals for time, CPU and memory.
func sizeRow(n int) Row {
	goal := func(kind report.GoalKind) report.GoalKind {
		if n != 1000 {
			return report.None
		}
		return kind
	}
	named := func(text string) string { return fmt.Sprintf("%d clusters: %s", n, text) }
	key := func(name string) string { return fmt.Sprintf("%d-%s", n, name) }
	return Row{
		key("clusters"), fmt.Sprintf("%d clusters of %s in %d namespaces", n, withoutGateways, namespaces), []report.Figure{
			figure(key("base"), named("memory before the first"), report.Bytes, report.AtMost, 70e6),
			figure(key("converge"), named("until all have converged"), report.Seconds, goal(report.AtMost), 35),
			figure(key("cpu"), named("CPU per cluster"), report.Seconds, goal(report.AtMost), 0.010),
			figure(key("rss"), named("memory per cluster"), report.Bytes, goal(report.AtMost), 40e3),
			figure(key("objects"), named("objects per cluster"), report.Count, report.None, 0),
			figure(key("rewrites"), named("writes of objects besides one each"), report.Count, report.AtMost, 0),
			figure(key("status"), named("writes of the status per cluster"), report.Count, report.AtMost, 2),
			figure(key("events"), named("writes of events per cluster"), report.Count, report.AtMost, 1),
			figure(key("dry-runs"), named("dry runs per cluster"), report.Count, report.AtMost, 0),
			figure(key("reads"), named("gets and lists per cluster"), report.Count, report.None, 0),
			figure(key("rest-writes"), named("writes at rest"), report.Count, report.AtMost, 0),
			figure(key("rest-cpu"), named("cores at rest"), report.Share, report.AtMost, 0.005),
		},
		func(ctx context.Context, b *bench) error { return sizes(ctx, b, n, key) },
	}
}

// bench is the state of one measurement.
type bench struct {
	*plane
	settings   Settings
	build      Build
	operator   *process
	watcher    *watcher
	simulation *simulation
	values     map[string]float64
}

// Run starts everything, measures, and stops everything. It returns the values of the figures by their keys, or the
// errors of all of them, joined.
func (r Row) Run(ctx context.Context, s Settings, build Build) (values map[string]float64, err error) {
	p, err := startPlane(ctx, s.Assets, build)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	b := &bench{plane: p, settings: s, build: build, simulation: newSimulation(p), values: map[string]float64{}}
	if b.operator, err = startOperator(ctx, p, build); err != nil {
		return nil, err
	}
	defer func() { b.operator.stop() }()

	ctx, cancel := context.WithCancel(ctx)
	simulated := make(chan struct{})
	go func() {
		defer close(simulated)
		b.simulation.run(ctx)
	}()
	defer func() {
		cancel()
		<-simulated
	}()
	if b.watcher, err = startWatcher(ctx, p, b.simulation.enqueue); err != nil {
		return nil, err
	}
	// The operator's caches fill while it starts.
	pause(ctx, 3*time.Second)
	return b.values, r.measure(ctx, b)
}

// pause waits for a duration, or until ctx ends.
func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-time.After(duration):
	case <-ctx.Done():
	}
}

// sizes measures n clusters: how they converge, and the operator at rest.
func sizes(ctx context.Context, b *bench, n int, key func(string) string) error {
	base, err := b.operator.usage()
	if err != nil {
		return err
	}
	took, err := b.converge(ctx, n, withoutGateways)
	if err != nil {
		return err
	}
	b.values[key("base")], b.values[key("converge")] = base.rss, took.Seconds()

	pause(ctx, 5*time.Second)
	settled, err := b.operator.usage()
	if err != nil {
		return err
	}
	sent, err := b.requestsSoFar()
	if err != nil {
		return err
	}
	each := float64(n)
	b.values[key("cpu")] = (settled.cpuSeconds - base.cpuSeconds) / each
	b.values[key("rss")] = (settled.rss - base.rss) / each
	b.values[key("objects")] = float64(sent.distinct) / each
	b.values[key("rewrites")] = float64(sent.objects-sent.distinct) / each
	b.values[key("status")] = float64(sent.status) / each
	b.values[key("events")] = float64(sent.events) / each
	b.values[key("dry-runs")] = float64(sent.dryRuns) / each
	b.values[key("reads")] = float64(sent.reads) / each
	cores, during, err := b.observe(ctx)
	b.values[key("rest-writes")], b.values[key("rest-cpu")] = float64(during.writes()), cores
	return err
}

// converge creates n clusters and returns how long it took until all have converged.
func (b *bench) converge(ctx context.Context, n int, spec string) (time.Duration, error) {
	started := time.Now()
	if err := b.create(ctx, n, spec); err != nil {
		return 0, err
	}
	ended, err := b.watcher.await(ctx, b.watcher.converged, n, b.settings.Timeout)
	if err != nil {
		return 0, fmt.Errorf("clusters: %w", err)
	}
	return ended.Sub(started), nil
}

// observe returns what the operator uses and sends in the time of Settings.Rest, which begins now.
func (b *bench) observe(ctx context.Context) (cores float64, sent requests, err error) {
	before, err := b.requestsSoFar()
	if err != nil {
		return 0, sent, err
	}
	used, err := b.operator.usage()
	if err != nil {
		return 0, sent, err
	}
	started := time.Now()
	pause(ctx, b.settings.Rest)
	now, err := b.operator.usage()
	if err != nil {
		return 0, sent, err
	}
	after, err := b.requestsSoFar()
	return (now.cpuSeconds - used.cpuSeconds) / time.Since(started).Seconds(), after.minus(before), err
}

func fullFleets(ctx context.Context, b *bench) error {
	const n = 50
	if _, err := b.converge(ctx, n, "{}"); err != nil {
		return err
	}
	pause(ctx, 20*time.Second)
	sent, err := b.requestsSoFar()
	b.values["full-writes"] = float64(sent.writes()-sent.distinct) / n
	b.values["full-status"] = float64(sent.status) / n
	b.values["full-dry-runs"] = float64(sent.dryRuns) / n
	return err
}

func movingFleets(ctx context.Context, b *bench) error {
	if _, err := b.converge(ctx, b.settings.Moving, "{replicas: 1, redis: {}}"); err != nil {
		return err
	}
	pause(ctx, 10*time.Second)
	b.simulation.moving.Store(true)
	pause(ctx, 10*time.Second)
	cores, sent, err := b.observe(ctx)
	b.values["moving-writes"] = float64(sent.writes()) / float64(b.settings.Moving) / b.settings.Rest.Minutes()
	b.values["moving-cpu"] = cores
	used, usageErr := b.operator.usage()
	b.values["moving-rss"] = used.rss
	return errors.Join(err, usageErr)
}

func tenantRow(ctx context.Context, b *bench) error {
	err := inParallel(ctx, tenants, func(ctx context.Context, i int) error {
		return b.createCluster(ctx, namespace(0), fmt.Sprintf("fleet-%04d", i), withoutGateways)
	})
	if err != nil {
		return err
	}
	started := time.Now()
	if err := b.createCluster(ctx, namespace(1), "other", withoutGateways); err != nil {
		return err
	}
	key := client.ObjectKey{Namespace: namespace(1), Name: "other-gateway"}
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, b.settings.Timeout, true,
		func(ctx context.Context) (bool, error) {
			return b.client.Get(ctx, key, &appsv1.Deployment{}) == nil, nil
		})
	if err != nil {
		return fmt.Errorf("the other tenant's Deployment is not there: %w", err)
	}
	b.values["tenant-wait"] = time.Since(started).Seconds()
	return nil
}
