// Package metrics is every number that a gateway shows, declared in one place and in a registry of
// its own. Labels have few values whatever clients send.
package metrics

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Metrics counts for all parts of a gateway. It implements
// transport.Observer and hooks.Observer.
type Metrics struct {
	registry *prometheus.Registry

	accepted         *prometheus.CounterVec
	refused          *prometheus.CounterVec
	closed           *prometheus.CounterVec
	dropped          *prometheus.CounterVec
	messagesDropped  *prometheus.CounterVec
	messagesReceived *prometheus.CounterVec
	bytesReceived    *prometheus.CounterVec
	messagesSent     *prometheus.CounterVec
	bytesSent        *prometheus.CounterVec
	publishSeconds   prometheus.Histogram
	publishErrors    *prometheus.CounterVec
	protocolErrors   *prometheus.CounterVec
	api              *prometheus.CounterVec
	apiSeconds       *prometheus.HistogramVec
	hookCalls        *prometheus.CounterVec
	hookSeconds      *prometheus.HistogramVec
	webhookEvents    *prometheus.CounterVec
	streamGaps       prometheus.Counter
	drainClosed      *prometheus.CounterVec
	certificates     prometheus.Counter
}

// Sources are what is read when somebody asks, rather than counted.
type Sources struct {
	Version     string
	Connections func() int
	Limit       func() int
	// ConnectRate and MessageRate are limits per second, 0 for none.
	ConnectRate int
	MessageRate int
	QueuedBytes func() int64
	// QueuedBytesLimit is what may wait for all clients together.
	QueuedBytesLimit int64
	Channels         func() int
	Broker           func() broker.Status
	State            func() contract.State
	Users            func() int
	WebhookQueue     func() int
	BreakerOpen      func(hook string) bool
}

// New declares the metrics.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	m.accepted = vec("websocket_accepted_total", "Connections accepted.", "protocol")
	m.refused = vec("websocket_refused_total", "Handshakes refused, by reason: full, per_ip, rate, handshake_timeout, handshake_crowd, origin, draining, malformed, not_websocket, bad_request, channel_limit, token, permission, hook, broker, internal.", "reason")
	m.closed = vec("websocket_closed_total", "Connections that ended, by close code; 1006 is a peer that went without a word.", "protocol", "code")
	m.dropped = vec("websocket_dropped_clients_total", "Clients that the gateway gave up, by reason: slow, rate, heartbeat.", "reason")
	m.messagesDropped = vec("websocket_dropped_messages_total", "Messages that slow clients did not get, by their channel's policy: DropOldest, LatestOnly.", "policy")
	m.messagesReceived = vec("websocket_messages_received_total", "Messages from clients.", "protocol")
	m.bytesReceived = vec("websocket_received_bytes_total", "Payload bytes from clients.", "protocol")
	m.messagesSent = vec("websocket_messages_sent_total", "Frames written to clients, pings and close frames included.", "protocol")
	m.bytesSent = vec("websocket_sent_bytes_total", "Bytes written to clients.", "protocol")
	m.publishErrors = vec("websocket_publish_errors_total", "Publications that the broker did not take, by reason: unavailable, refused.", "reason")
	m.protocolErrors = vec("websocket_command_errors_total", "Errors answered to Centrifuge commands, by code; application is for codes of the backend's own.", "code")
	m.api = vec("websocket_api_requests_total", "Server API requests, by method and outcome: ok, error, refused.", "method", "outcome")
	m.drainClosed = vec("websocket_drain_closed_total", "Connections closed by drains, by how: paced, forced.", "how")
	m.hookCalls = vec("websocket_hook_calls_total", "Calls of hooks, by outcome: ok, error, disconnect, down, allowed_while_down, canceled.", "hook", "outcome")
	m.webhookEvents = vec("websocket_webhook_events_total", "Events for the webhook, by outcome: delivered, rejected, failed, and those never sent: queue_full, shutdown.", "outcome")
	m.streamGaps = prometheus.NewCounter(prometheus.CounterOpts{Name: "websocket_stream_gaps_total", Help: "Gaps in channels' streams that could not be closed: who counted on the channel had to come back."})
	m.hookSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "websocket_hook_seconds", Help: "Time until a hook's backend answered.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 9),
	}, []string{"hook"})
	m.apiSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "websocket_api_seconds", Help: "Time that server API requests took.", Buckets: prometheus.ExponentialBuckets(0.00025, 4, 9),
	}, []string{"method"})
	m.publishSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "websocket_publish_seconds", Help: "Time until the broker took a publication.",
		Buckets: prometheus.ExponentialBuckets(0.00005, 4, 9),
	})
	m.certificates = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "websocket_certificate_errors_total", Help: "Changes of the certificate's files that could not be used; the old certificate stayed.",
	})
	// A series that begins at zero shows its first event as a rate.
	for vec, values := range map[*prometheus.CounterVec][]string{
		m.refused:         {"full", "per_ip", "rate", "handshake_timeout", "handshake_crowd", "origin", "draining", "malformed", "not_websocket", "bad_request", "channel_limit", "token", "permission", "hook", "broker", "internal"},
		m.dropped:         {"slow", "rate", "heartbeat"},
		m.messagesDropped: {transport.DropOldest.String(), transport.LatestOnly.String()},
		m.publishErrors:   {"unavailable", "refused"},
		m.drainClosed:     {"paced", "forced"},
		m.webhookEvents:   {"delivered", "rejected", "failed", hooks.DropQueueFull, hooks.DropShutdown},
	} {
		for _, value := range values {
			vec.WithLabelValues(value)
		}
	}
	m.registry.MustRegister(m.publishSeconds, m.hookSeconds, m.apiSeconds, m.streamGaps, m.certificates, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Watch adds the gauges that are read from the gateway's parts.
func (m *Metrics) Watch(s Sources) {
	gauge := func(name, help string, labels prometheus.Labels, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
	}
	gauge("wsfleet_gateway_info", "Always 1; the version is in the label.", prometheus.Labels{"version": s.Version}, func() float64 { return 1 })
	gauge(contract.MetricConnections, "Open client connections.", nil, func() float64 { return float64(s.Connections()) })
	gauge("websocket_connections_limit", "Connections that this gateway holds at most.", nil, func() float64 { return float64(s.Limit()) })
	gauge("websocket_connect_rate_limit", "New connections per second that this gateway takes at most; 0 is no limit.", nil, func() float64 { return float64(s.ConnectRate) })
	gauge("websocket_message_rate_limit", "Messages per second that one client may send; 0 is no limit.", nil, func() float64 { return float64(s.MessageRate) })
	gauge("websocket_queued_bytes", "Memory of the messages that wait for clients; one that waits for many counts once.", nil, func() float64 { return float64(s.QueuedBytes()) })
	gauge("websocket_queued_bytes_limit", "Memory that may wait for all clients together.", nil, func() float64 { return float64(s.QueuedBytesLimit) })
	gauge("websocket_channels", "Channels that this gateway holds at the broker.", nil, func() float64 { return float64(s.Channels()) })
	gauge("websocket_users", "Users with connections to this gateway.", nil, func() float64 { return float64(s.Users()) })
	gauge("websocket_webhook_queue", "Events that wait for the webhook's receiver.", nil, func() float64 { return float64(s.WebhookQueue()) })
	for _, hook := range []string{hooks.HookConnect, hooks.HookSubscribe, hooks.HookPublish, hooks.HookRPC, hooks.HookWebhook} {
		gauge("websocket_hook_breaker_open", "1 while a hook is not called because its backend is down.", prometheus.Labels{"hook": hook}, func() float64 { return is(s.BreakerOpen(hook)) })
	}
	for _, state := range []contract.BrokerState{contract.BrokerReady, contract.BrokerConnecting, contract.BrokerDegraded} {
		gauge("websocket_broker_state", "1 for the state that the broker is in.", prometheus.Labels{"state": string(state)}, func() float64 { return is(s.Broker().State == state) })
	}
	for _, state := range []contract.State{contract.StateServing, contract.StateDraining, contract.StateDrained} {
		gauge("websocket_drain_state", "1 for the state that the gateway is in.", prometheus.Labels{"state": string(state)}, func() float64 { return is(s.State() == state) })
	}
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// ConnectionAccepted implements transport.Observer.
func (m *Metrics) ConnectionAccepted(protocol string) { m.accepted.WithLabelValues(protocol).Inc() }

// ConnectionRefused implements transport.Observer.
func (m *Metrics) ConnectionRefused(reason string) { m.refused.WithLabelValues(reason).Inc() }

// ConnectionClosed implements transport.Observer.
func (m *Metrics) ConnectionClosed(protocol string, code int) {
	m.closed.WithLabelValues(protocol, closeLabel(code)).Inc()
}

// ClientDropped implements transport.Observer.
func (m *Metrics) ClientDropped(reason string) { m.dropped.WithLabelValues(reason).Inc() }

// MessagesDropped implements transport.Observer.
func (m *Metrics) MessagesDropped(policy transport.DropPolicy, n int) {
	m.messagesDropped.WithLabelValues(policy.String()).Add(float64(n))
}

// MessageReceived implements transport.Observer.
func (m *Metrics) MessageReceived(protocol string, bytes int) {
	m.messagesReceived.WithLabelValues(protocol).Inc()
	m.bytesReceived.WithLabelValues(protocol).Add(float64(bytes))
}

// MessagesSent implements transport.Observer.
func (m *Metrics) MessagesSent(protocol string, messages, bytes int) {
	m.messagesSent.WithLabelValues(protocol).Add(float64(messages))
	m.bytesSent.WithLabelValues(protocol).Add(float64(bytes))
}

// Published counts an attempt to publish.
func (m *Metrics) Published(took time.Duration, err error) {
	switch {
	case err == nil:
		m.publishSeconds.Observe(took.Seconds())
	case errors.Is(err, broker.ErrUnavailable):
		m.publishErrors.WithLabelValues("unavailable").Inc()
	default:
		m.publishErrors.WithLabelValues("refused").Inc()
	}
}

// CommandFailed counts an error answered to a command.
func (m *Metrics) CommandFailed(code uint32) {
	label := "application"
	if code < firstOwnError {
		label = strconv.FormatUint(uint64(code), 10)
	}
	m.protocolErrors.WithLabelValues(label).Inc()
}

// firstOwnError is where the codes begin that backends make up.
const firstOwnError = 400

// APIRequest counts a request to the server API.
func (m *Metrics) APIRequest(method, outcome string, took time.Duration) {
	m.api.WithLabelValues(method, outcome).Inc()
	m.apiSeconds.WithLabelValues(method).Observe(took.Seconds())
}

// HookCalled implements hooks.Observer.
func (m *Metrics) HookCalled(hook, outcome string, took time.Duration) {
	m.hookCalls.WithLabelValues(hook, outcome).Inc()
	m.hookSeconds.WithLabelValues(hook).Observe(took.Seconds())
}

// WebhookDelivered implements hooks.Observer.
func (m *Metrics) WebhookDelivered(outcome string, events int) {
	m.webhookEvents.WithLabelValues(outcome).Add(float64(events))
}

// WebhookDropped implements hooks.Observer.
func (m *Metrics) WebhookDropped(reason string, events int) {
	m.webhookEvents.WithLabelValues(reason).Add(float64(events))
}

// StreamGap counts a gap in a channel's stream that could not be closed.
func (m *Metrics) StreamGap() { m.streamGaps.Inc() }

// DrainClosed counts connections that a drain closed.
func (m *Metrics) DrainClosed(n int, forced bool) {
	how := "paced"
	if forced {
		how = "forced"
	}
	m.drainClosed.WithLabelValues(how).Add(float64(n))
}

// CertificateFailed counts a new certificate that could not be used.
func (m *Metrics) CertificateFailed() { m.certificates.Inc() }

// closeLabel bounds the codes that peers can make up.
func closeLabel(code int) string {
	known := []int{1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3001, 3004, 3005, 3008, 3010, 3011, 3012, 3500, 3501, 3502, 3503, 3504, 3505, 3507, 4008}
	if slices.Contains(known, code) {
		return strconv.Itoa(code)
	}
	return "other"
}
