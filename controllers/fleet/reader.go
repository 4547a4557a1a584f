package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// MaxConcurrentScrapes is the maximum number of open requests to gateways that share their Slots.
const MaxConcurrentScrapes = 32

// Slots bounds the requests that are sent to gateways at once. Each request holds one slot.
type Slots chan struct{}

// NewSlots returns MaxConcurrentScrapes free slots.
func NewSlots() Slots { return make(Slots, MaxConcurrentScrapes) }

// acquire blocks until a slot is free and takes it. It returns ctx.Err() when ctx ends first.
func (s Slots) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s Slots) release() { <-s }

// ErrNoToken means that the cluster has no admin Secret of the operator's own yet.
var ErrNoToken = errors.New("there is no admin Secret of this cluster yet")

// GatewaySource is where a Reader finds the gateways of a fleet.
type GatewaySource interface {
	// Pods lists the gateway pods of a cluster. It returns an error when the list cannot be read.
	Pods(ctx context.Context, cluster client.ObjectKey) ([]corev1.Pod, error)
	// Token returns the bearer token of the cluster's admin endpoints. It returns ErrNoToken when there is none yet, and
	// an error when it cannot be read.
	Token(ctx context.Context, cluster client.ObjectKey) (string, error)
}

// Answer is the result of asking one gateway for its report.
type Answer struct {
	Pod *corev1.Pod
	// Report is what the gateway answered, and At is when. They are zero when Err is not nil.
	Report contract.GatewayReport
	At     time.Time
	// Err says why the gateway did not answer with a report.
	Err error
}

// silent reports whether the gateway has an address and did not answer.
func (a Answer) silent() bool { return a.Err != nil && !errors.Is(a.Err, errNoAddress) }

// Reader asks the gateways of one fleet at a time for their reports. It may be used by several goroutines at once.
type Reader struct {
	source   GatewaySource
	scraper  *Scraper
	failures prometheus.Counter
}

// NewReader returns a Reader that counts the requests that returned no report in failures.
func NewReader(source GatewaySource, scraper *Scraper, failures prometheus.Counter) *Reader {
	return &Reader{source: source, scraper: scraper, failures: failures}
}

// Read asks each running gateway of the fleet, and blocks until all have answered or timed out. The answers are in the
// order of the source's pods. A gateway that does not answer is no error of Read. Read returns an error when the pods
// or the token cannot be read, which wraps ErrNoToken when there is no token yet.
func (r *Reader) Read(ctx context.Context, cluster client.ObjectKey, slots Slots) ([]Answer, error) {
	pods, err := r.source.Pods(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("list gateway pods: %w", err)
	}
	answers := make([]Answer, 0, len(pods))
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodRunning {
			answers = append(answers, Answer{Pod: &pods[i]})
		}
	}
	if len(answers) == 0 {
		return nil, nil
	}
	token, err := r.source.Token(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("read the admin token: %w", err)
	}
	var group errgroup.Group
	group.SetLimit(maxFleetScrapes)
	for i := range answers {
		group.Go(func() error {
			r.ask(ctx, &answers[i], token, slots)
			return nil
		})
	}
	_ = group.Wait() // a gateway that does not answer is not an error
	return answers, nil
}

// ask fills in the answer of the gateway of answer.Pod.
func (r *Reader) ask(ctx context.Context, answer *Answer, token string, slots Slots) {
	if answer.Err = slots.acquire(ctx); answer.Err != nil {
		return
	}
	defer slots.release()
	report, err := r.scraper.Scrape(ctx, answer.Pod, token)
	if err != nil {
		r.failures.Inc()
		answer.Err = err
		return
	}
	answer.Report, answer.At = report, time.Now()
}
