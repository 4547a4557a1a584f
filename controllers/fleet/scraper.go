package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// scrapeTimeout bounds one request to a gateway, unless the options of the Scraper say otherwise.
const scrapeTimeout = 2 * time.Second

// ScraperOptions say how a Scraper reaches gateways. The zero value is the way from inside the cluster.
type ScraperOptions struct {
	// Address returns host:port of a pod's admin port, or "" while the pod has none. nil stands for the pod's IP and the
	// gateway's admin port.
	Address func(*corev1.Pod) string
	// Dial connects to an address that Address returned. nil stands for TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds one request, the time to connect included. 0 stands for 2 seconds.
	Timeout time.Duration
}

// Scraper requests the report of one gateway at a time. It may be used by several goroutines at once.
type Scraper struct {
	client  *http.Client
	address func(*corev1.Pod) string
}

// NewScraper returns a Scraper that reaches gateways as options say.
func NewScraper(options ScraperOptions) *Scraper {
	timeout := cmp.Or(options.Timeout, scrapeTimeout)
	address, dial := options.Address, options.Dial
	if address == nil {
		address = adminAddress
	}
	if dial == nil {
		dial = (&net.Dialer{Timeout: timeout}).DialContext
	}
	transport := &http.Transport{
		DialContext:           dial,
		ResponseHeaderTimeout: timeout,
		// A server at a pod's address that is not a gateway must not fill the operator's memory.
		MaxResponseHeaderBytes: maxReportBytes,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        time.Minute,
	}
	return &Scraper{
		client: &http.Client{
			Transport: transport,
			Timeout:   timeout,
			// The token must not follow a redirect to another server.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		address: address,
	}
}

// adminAddress returns host:port of the pod's admin port, or "" while the pod has no IP.
func adminAddress(pod *corev1.Pod) string {
	if pod.Status.PodIP == "" {
		return ""
	}
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(contract.AdminPort))
}

// ErrTokenRefused means that a gateway does not know the token.
var ErrTokenRefused = errors.New("it answered 401: it does not know the token of the admin Secret")

// ErrConflict means that a gateway refuses a request in the state that it is in.
var ErrConflict = errors.New("it answered 409 Conflict")

// errNoAddress means that a pod has no address yet.
var errNoAddress = errors.New("the pod has no address yet")

// Scrape requests the report of the pod's gateway with the bearer token. It returns errNoAddress while the pod has no
// address, an error that wraps ErrTokenRefused when the gateway does not know the token, and another error that names
// the pod when the gateway does not answer within the timeout, answers another status than 200, or sends no valid
// report. Errors never contain the token.
func (s *Scraper) Scrape(ctx context.Context, pod *corev1.Pod, token string) (contract.GatewayReport, error) {
	return s.send(ctx, pod, token, http.MethodGet, contract.PathFleet, http.NoBody, http.StatusOK)
}

// Drain sends a request to the pod's gateway to drain, and returns its report. It returns the errors of Scrape, where
// the status is 202.
func (s *Scraper) Drain(
	ctx context.Context, pod *corev1.Pod, token string, request contract.DrainRequest,
) (contract.GatewayReport, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return contract.GatewayReport{}, err //nolint:wrapcheck // cannot happen: the values are plain
	}
	return s.send(ctx, pod, token, http.MethodPost, contract.PathDrain, bytes.NewReader(body), http.StatusAccepted)
}

// Undrain asks the pod's gateway to serve again, and returns its report. It returns the errors of Scrape, and one that
// wraps ErrConflict when the gateway's process is ending.
func (s *Scraper) Undrain(ctx context.Context, pod *corev1.Pod, token string) (contract.GatewayReport, error) {
	return s.send(ctx, pod, token, http.MethodPost, contract.PathUndrain, http.NoBody, http.StatusOK)
}

// send sends a request to which the gateway answers with its report and the status want. It returns the errors of
// Scrape.
func (s *Scraper) send(
	ctx context.Context, pod *corev1.Pod, token, method, path string, body io.Reader, want int,
) (contract.GatewayReport, error) {
	var report contract.GatewayReport
	address := s.address(pod)
	if address == "" {
		return report, errNoAddress
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, body)
	if err != nil {
		return report, fmt.Errorf("ask gateway %s: %w", pod.Name, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := s.client.Do(request)
	if err != nil {
		return report, fmt.Errorf("ask gateway %s: %w", pod.Name, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusUnauthorized {
		return report, fmt.Errorf("ask gateway %s: %w", pod.Name, ErrTokenRefused)
	}
	if response.StatusCode == http.StatusConflict {
		return report, fmt.Errorf("ask gateway %s: %w", pod.Name, ErrConflict)
	}
	if response.StatusCode != want {
		return report, fmt.Errorf("ask gateway %s: it answered %s", pod.Name, response.Status)
	}
	report, err = readReport(response.Body)
	if err != nil {
		return report, fmt.Errorf("read the report of gateway %s: %w", pod.Name, err)
	}
	return report, nil
}

// Close closes the idle connections to gateways.
func (s *Scraper) Close() { s.client.CloseIdleConnections() }
