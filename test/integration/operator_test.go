package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsfleet/wsfleet/controllers"
	"github.com/wsfleet/wsfleet/controllers/render"
)

const (
	// operatorUser is who the operator is for the API server: it may do what the role in config/rbac
	// allows, and no more.
	operatorUser = "wsfleet-operator"

	gatewayImage = "example.com/gateway:test"
	redisImage   = "example.com/redis:test"

	scrapeInterval = 100 * time.Millisecond
	// quietFor is how long the operator must have sent nothing to count as done: longer than it waits
	// by itself before it tries again.
	quietFor = 1200 * time.Millisecond
)

// operator is the controllers of the real thing, in the test's process and for one namespace, so
// that tests do not see each other's.
type operator struct {
	t         *testing.T
	namespace string
	sent      *requestCounter
	// registry has the metrics of the process that start made last.
	registry *prometheus.Registry
	// stop waits until nothing of it runs any more; start is a new process of it.
	stop func()
}

// startOperator starts an operator on a new namespace; it ends with the test.
func startOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{t: t, namespace: newNamespace(t), sent: &requestCounter{}}
	o.start()
	t.Cleanup(func() { o.stop() })
	return o
}

func (o *operator) start() {
	o.t.Helper()
	log := &logBuffer{}
	o.registry = prometheus.NewRegistry()
	cacheOptions, err := controllers.CacheOptions([]string{o.namespace})
	require.NoError(o.t, err)
	scheme, err := controllers.NewScheme()
	require.NoError(o.t, err)
	asOperator := rest.CopyConfig(env.operator)
	asOperator.Wrap(o.sent.count)
	// The API server's own fairness is enough; a limit here would only make the tests slow.
	asOperator.QPS = -1
	manager, err := ctrl.NewManager(asOperator, ctrl.Options{
		Scheme:  scheme,
		Cache:   cacheOptions,
		Metrics: server.Options{BindAddress: "0"},
		Logger:  log.logger(),
		// Names of controllers are unique in a process; here there is one operator after another.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	require.NoError(o.t, err)
	require.NoError(o.t, controllers.Setup(o.t.Context(), manager, controllers.Options{
		Images:                  render.Images{Gateway: gatewayImage, Redis: redisImage},
		MaxConcurrentReconciles: 4,
		ScrapeInterval:          scrapeInterval,
		AdminAddress:            adminAddress,
		Recheck:                 time.Second,
		// One process has many operators here, and their metrics have the same names.
		Metrics: o.registry,
	}))

	// Not the test's context, which ends before the cleanups.
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			o.t.Errorf("the operator ended with: %v", err)
		}
		if strings.Contains(log.String(), "Observed a panic") {
			o.t.Error("the operator panicked")
		}
		if o.t.Failed() {
			o.t.Logf("the operator said:\n%s", log)
		}
	})
	require.True(o.t, manager.GetCache().WaitForCacheSync(o.t.Context()))
}

// reconciles is how many the process has done, of all operators in it: for tests that run alone.
func (o *operator) reconciles() int {
	o.t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(o.t, err)
	sum := 0.0
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			sum += metric.GetCounter().GetValue()
		}
	}
	return int(sum)
}

// awaitReconciles waits until so many have been done in all.
func (o *operator) awaitReconciles(total int) {
	o.t.Helper()
	require.Eventually(o.t, func() bool { return o.reconciles() >= total }, patience, pollEvery)
}

// awaitQuiet waits until the operator sends nothing more. That nothing comes cannot be awaited, only
// waited for.
func (o *operator) awaitQuiet() {
	o.t.Helper()
	last, since := o.sent.all.Load(), time.Now()
	require.Eventually(o.t, func() bool {
		if now := o.sent.all.Load(); now != last || o.sent.underway.Load() > 0 {
			last, since = now, time.Now()
		}
		return time.Since(since) >= quietFor
	}, patience, pollEvery)
}

// requestCounter counts what a client sends.
type requestCounter struct {
	all     atomic.Int64
	changes atomic.Int64
	// underway are those that are not answered yet; a watch is, once it has begun.
	underway atomic.Int64
	hook     atomic.Pointer[requestHook]
}

// requestHook sees a request before it is sent, and may answer it in the API server's place.
type requestHook func(*http.Request) *http.Response

// before lets a test do something between the operator's decision and its request.
func (c *requestCounter) before(hook requestHook) { c.hook.Store(&hook) }

func (c *requestCounter) writes() int64 { return c.changes.Load() }

func (c *requestCounter) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		c.underway.Add(1)
		defer c.underway.Add(-1)
		c.all.Add(1)
		if request.Method != http.MethodGet {
			c.changes.Add(1)
		}
		if hook := c.hook.Load(); hook != nil && *hook != nil {
			if response := (*hook)(request); response != nil {
				return response, nil
			}
		}
		return next.RoundTrip(request)
	})
}

// answer is a response that the API server might give.
func answer(request *http.Request, code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: request,
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// logBuffer keeps the operator's log until a test wants to see it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.text.WriteString(prefix + " " + args + "\n")
	}, funcr.Options{LogTimestamp: true})
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
