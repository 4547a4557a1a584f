package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/internal/contract"
)

const scrapeTimeout = 2 * time.Second

// Scraper asks one gateway for its report.
type Scraper struct {
	client  *http.Client
	address func(*corev1.Pod) string
}

// NewScraper asks gateways at the address that a pod has; nil means the pod's IP and admin port.
func NewScraper(address func(*corev1.Pod) string) *Scraper {
	if address == nil {
		address = adminAddress
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: scrapeTimeout}).DialContext,
		ResponseHeaderTimeout: scrapeTimeout,
		// Whatever answers at a pod's address must not fill the operator's memory.
		MaxResponseHeaderBytes: maxReportBytes,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        time.Minute,
	}
	return &Scraper{
		client: &http.Client{
			Transport: transport,
			Timeout:   scrapeTimeout,
			// The token must not follow a redirect to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		address: address,
	}
}

// adminAddress is empty while the pod has no address.
func adminAddress(pod *corev1.Pod) string {
	if pod.Status.PodIP == "" {
		return ""
	}
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(contract.AdminPort))
}

var errNoAddress = errors.New("the pod has no address yet")

// Scrape asks the pod's gateway for its report.
func (s *Scraper) Scrape(ctx context.Context, pod *corev1.Pod, token string) (contract.GatewayReport, error) {
	var report contract.GatewayReport
	address := s.address(pod)
	if address == "" {
		return report, errNoAddress
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+contract.PathFleet, http.NoBody)
	if err != nil {
		return report, fmt.Errorf("ask gateway %s: %w", pod.Name, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := s.client.Do(request)
	if err != nil {
		return report, fmt.Errorf("ask gateway %s: %w", pod.Name, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return report, fmt.Errorf("ask gateway %s: it answered %s", pod.Name, response.Status)
	}
	report, err = readReport(response.Body)
	if err != nil {
		return report, fmt.Errorf("read the report of gateway %s: %w", pod.Name, err)
	}
	return report, nil
}

// Close ends idle connections to gateways.
func (s *Scraper) Close() { s.client.CloseIdleConnections() }
