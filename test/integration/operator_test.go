package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
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
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsfleet/wsfleet/controllers"
	"github.com/wsfleet/wsfleet/controllers/render"
)

const (
	// operatorUser is the operator's user name. It has the role in config/rbac and no other.
	operatorUser = "wsfleet-operator"

	gatewayImage = "example.com/gateway:test"
	redisImage   = "example.com/redis:test"

	scrapeInterval = 100 * time.Millisecond
	// workers is how many fleets the operator reconciles at once.
	workers = 4
	// quietPeriod is how long the operator must have sent nothing to count as done. It is longer than any delay after
	// which the operator tries again.
	quietPeriod = 1200 * time.Millisecond
)

// operator is the real controllers in the test's process, for one namespace, so that tests do not affect each other.
type operator struct {
	t         *testing.T
	namespace string
	// furtherNamespaces are those besides namespace in which operators that start later work.
	furtherNamespaces []string
	// api is the API server that the operator uses, with the operator's credentials.
	api  *rest.Config
	sent *requestCounter
	// log is that of the operator that start started last.
	log *logBuffer
	// images are those of the operator that start starts.
	images render.Images
	// registry has the metrics of the operator that start started last.
	registry *prometheus.Registry
	// ready is the readiness check of the operator that start started last.
	ready healthz.Checker
	// configure changes the options of operators that start later.
	configure func(*controllers.Options)
	// stop ends the operator and waits until nothing of it runs any more. start then starts another one.
	stop func()
}

// startOperator starts an operator for a new namespace. It ends with the test.
func startOperator(t *testing.T) *operator {
	t.Helper()
	return startOperatorAt(t, env.operator)
}

// startOperatorAt is startOperator with an API server of the test's choice.
func startOperatorAt(t *testing.T, api *rest.Config) *operator {
	t.Helper()
	o := newOperator(t, api)
	o.start()
	t.Cleanup(func() { o.stop() })
	return o
}

// newOperator returns an operator for a new namespace. The test configures, starts and stops it.
func newOperator(t *testing.T, api *rest.Config) *operator {
	t.Helper()
	return &operator{
		t:         t,
		namespace: newNamespace(t),
		api:       api,
		sent:      &requestCounter{},
		images:    render.Images{Gateway: gatewayImage, Redis: redisImage},
	}
}

// start starts an operator, and waits until its caches are filled.
func (o *operator) start() {
	o.t.Helper()
	require.True(o.t, o.begin().GetCache().WaitForCacheSync(o.t.Context()))
}

// begin starts an operator and returns its manager.
func (o *operator) begin() manager.Manager {
	o.t.Helper()
	log := &logBuffer{}
	o.log = log
	o.registry = prometheus.NewRegistry()
	namespaces := append([]string{o.namespace}, o.furtherNamespaces...)
	cacheOptions, err := controllers.CacheOptions(namespaces)
	require.NoError(o.t, err)
	scheme, err := controllers.NewScheme()
	require.NoError(o.t, err)
	asOperator := rest.CopyConfig(o.api)
	asOperator.Wrap(o.sent.count)
	decodeFilter, err := controllers.NewDecodeFilter(o.registry, log.logger())
	require.NoError(o.t, err)
	asOperator.Wrap(decodeFilter.Wrap)
	// A client-side rate limit would only make the tests slow.
	asOperator.QPS = -1
	mgr, err := ctrl.NewManager(asOperator, ctrl.Options{
		Scheme:         scheme,
		MapperProvider: controllers.NewMapper,
		Cache:          cacheOptions,
		Metrics:        server.Options{BindAddress: "0"},
		Logger:         log.logger(),
		// Names of controllers are unique in a process, but a test process has many operators.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	require.NoError(o.t, err)
	options := controllers.Options{
		Namespaces:              namespaces,
		Images:                  o.images,
		MaxConcurrentReconciles: workers,
		ScrapeInterval:          scrapeInterval,
		AdminAddress:            adminAddress,
		Recheck:                 time.Second,
		StatusInterval:          time.Millisecond,
		// One process has many operators here, and their metrics have the same names.
		Metrics: o.registry,
	}
	if o.configure != nil {
		o.configure(&options)
	}
	require.NoError(o.t, controllers.Setup(o.t.Context(), mgr, options))
	o.ready = controllers.ReadyCheck(mgr, namespaces)

	// Not the test's context, which ends before the cleanups.
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			o.t.Errorf("the operator ended with: %v", err)
		}
		if strings.Contains(log.String(), "Observed a panic") {
			o.t.Error("the operator panicked")
		}
		if o.t.Failed() {
			o.t.Logf("the operator logged:\n%s", log)
		}
	})
	return mgr
}

// reconciles returns the number of reconciles of all operators in the process, for tests that do not run in parallel.
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

// logged returns the lines of the operator's log that contain the words.
func (o *operator) logged(words string) []string {
	return slices.DeleteFunc(strings.Split(o.log.String(), "\n"), func(line string) bool {
		return !strings.Contains(line, words)
	})
}

// metric returns the value of one of the operator's own metrics, as gathered does.
func (o *operator) metric(t require.TestingT, name string, labels ...string) float64 {
	return o.gathered(t, "wsfleet_operator_"+name, labels...)
}

// gathered returns the value of a metric, or the number of observations of a histogram. The labels are values in the
// order of their names. A metric that does not exist is 0.
func (o *operator) gathered(t require.TestingT, name string, labels ...string) float64 {
	families, err := o.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var values []string
			for _, label := range metric.GetLabel() {
				values = append(values, label.GetValue())
			}
			if slices.Equal(values, labels) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
					float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

// awaitReconciles waits until the process has done a number of reconciles in all.
func (o *operator) awaitReconciles(total int) {
	o.t.Helper()
	require.Eventually(o.t, func() bool { return o.reconciles() >= total }, waitTimeout, pollInterval)
}

// awaitQuiet waits until the operator has sent nothing for quietPeriod.
func (o *operator) awaitQuiet() {
	o.t.Helper()
	last, since := o.sent.all.Load(), time.Now()
	require.Eventually(o.t, func() bool {
		if now := o.sent.all.Load(); now != last || o.sent.underway.Load() > 0 {
			last, since = now, time.Now()
		}
		return time.Since(since) >= quietPeriod
	}, waitTimeout, pollInterval)
}

// requestCounter counts the requests of a client.
type requestCounter struct {
	all     atomic.Int64
	changes atomic.Int64
	// underway counts the requests that are not answered yet. A watch counts as answered once it has begun.
	underway atomic.Int64
	hook     atomic.Pointer[requestHook]
}

// requestHook gets a request before it is sent. A response that it returns is the answer, and the request is not sent.
type requestHook func(*http.Request) *http.Response

// before sets the hook, so that a test can act between the operator's decision and its request. Nil removes the hook.
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

// answer returns a response as the API server would give it.
func answer(request *http.Request, code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code,
		Status:     http.StatusText(code),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    request,
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// logBuffer keeps the operator's log. A failing test prints it.
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

// Write implements io.Writer, for the log of a process.
func (b *logBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
