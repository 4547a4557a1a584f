package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// serve returns a scraper of a server with the handler, and a pod for it.
func serve(t *testing.T, handler http.HandlerFunc) (*Scraper, *corev1.Pod) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	scraper := NewScraper(ScraperOptions{
		Address: func(*corev1.Pod) string { return strings.TrimPrefix(server.URL, "http://") },
	})
	t.Cleanup(scraper.Close)
	return scraper, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod-a"}}
}

func TestScraperSendsTheTokenAndReadsTheReport(t *testing.T) {
	want := contract.GatewayReport{
		Node:           "pod-a",
		State:          contract.StateServing,
		Connections:    3,
		MaxConnections: 10,
	}
	scraper, pod := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, contract.PathFleet, r.URL.Path)
		assert.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		assert.NoError(t, json.NewEncoder(w).Encode(want))
	})
	got, err := scraper.Scrape(t.Context(), pod, "secret")
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestScraperRefusesInvalidReports(t *testing.T) {
	const unreadable = "read the report of gateway pod-a"
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		message string
	}{
		"wrong token":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "401"},
		"no JSON":       {answer("hello"), unreadable},
		"without end":   {answer(`{"node":"` + strings.Repeat("a", 2*maxReportBytes)), unreadable},
		"half a report": {answer(`{"node":`), unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			scraper, pod := serve(t, c.handler)
			_, err := scraper.Scrape(t.Context(), pod, "secret")
			require.ErrorContains(t, err, c.message)
			assert.NotContains(t, err.Error(), "secret")
			assert.Equal(t, name == "wrong token", errors.Is(err, ErrTokenRefused))
		})
	}
}

// A compromised gateway must not be able to have the token sent to another server.
func TestScraperFollowsNoRedirect(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	scraper, pod := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusFound)
	})
	_, err := scraper.Scrape(t.Context(), pod, "secret")
	require.ErrorContains(t, err, "302")
	assert.False(t, reached)
}

func TestScraperNeedsAnAddress(t *testing.T) {
	_, err := NewScraper(ScraperOptions{}).Scrape(t.Context(), &corev1.Pod{}, "secret")
	require.ErrorIs(t, err, errNoAddress)
	assert.Equal(t, "[2001:db8::1]:9090", adminAddress(&corev1.Pod{Status: corev1.PodStatus{PodIP: "2001:db8::1"}}))
}

func TestScraperBoundsHeaders(t *testing.T) {
	scraper, pod := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("a", 2*maxReportBytes))
		assert.NoError(t, json.NewEncoder(w).Encode(contract.GatewayReport{}))
	})
	_, err := scraper.Scrape(t.Context(), pod, "secret")
	require.ErrorContains(t, err, "ask gateway pod-a")
}

// A user's machine has no route to a pod's IP: its requests go through a connection that the caller makes.
func TestScraperDialsAsItsOptionsSay(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		assert.NoError(t, json.NewEncoder(w).Encode(contract.GatewayReport{Node: "pod-a"}))
	}))
	defer server.Close()
	var dialed string
	scraper := NewScraper(ScraperOptions{
		Address: func(pod *corev1.Pod) string { return pod.Name + ":9090" },
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialed = address
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	})
	defer scraper.Close()
	report, err := scraper.Scrape(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod-a"}}, "secret")
	require.NoError(t, err)
	assert.Equal(t, "pod-a", report.Node)
	assert.Equal(t, "pod-a:9090", dialed)
}

func TestScraperWaitsNoLongerThanItsTimeout(t *testing.T) {
	scraper := NewScraper(ScraperOptions{
		Address: func(*corev1.Pod) string { return "pod-a:9090" },
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		Timeout: time.Millisecond,
	})
	defer scraper.Close()
	_, err := scraper.Scrape(t.Context(), &corev1.Pod{}, "secret")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestScraperTellsAConflictFromOtherAnswers(t *testing.T) {
	scraper, pod := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) })
	_, err := scraper.Undrain(t.Context(), pod, "secret")
	require.ErrorIs(t, err, ErrConflict)
}
