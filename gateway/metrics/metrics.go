// Package metrics declares every metric of a gateway, in a registry of its own. Package gateway hands a
// Metrics to the gateway's parts as their observer and serves Handler on the private port. Every label has
// few values, whatever clients send.
package metrics

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Metrics counts for all parts of a gateway. It implements transport.Observer and hooks.Observer. It is safe
// for concurrent use.
type Metrics struct {
	declarer

	accepted          *prometheus.CounterVec
	refused           *prometheus.CounterVec
	closed            *prometheus.CounterVec
	dropped           *prometheus.CounterVec
	messagesDropped   *prometheus.CounterVec
	messagesReceived  *prometheus.CounterVec
	bytesReceived     *prometheus.CounterVec
	messageBytes      *prometheus.HistogramVec
	messagesSent      *prometheus.CounterVec
	bytesSent         *prometheus.CounterVec
	publishSeconds    prometheus.Observer
	publishErrors     *prometheus.CounterVec
	commandErrors     *prometheus.CounterVec
	apiRequests       *prometheus.CounterVec
	apiSeconds        *prometheus.HistogramVec
	hookCalls         *prometheus.CounterVec
	hookSeconds       *prometheus.HistogramVec
	webhookEvents     *prometheus.CounterVec
	streamGaps        prometheus.Counter
	drainClosed       *prometheus.CounterVec
	certificateErrors prometheus.Counter
	connectRate       *rate
	rejectRate        *rate
	crowdRate         *rate
	// traffic holds the *traffic of each protocol by its name.
	traffic sync.Map
}

// New declares the counters and the histograms. Watch adds the gauges.
func New() *Metrics {
	m := &Metrics{
		declarer:    declarer{registry: prometheus.NewRegistry()},
		connectRate: newRate(), rejectRate: newRate(), crowdRate: newRate(),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.declareConnections()
	m.declareMessages()
	m.declareBackends()
	m.certificateErrors = m.counter("websocket_certificate_errors_total",
		"The number of changes of the TLS certificate's files that the gateway could not use. It kept the old certificate.").
		WithLabelValues()
	return m
}

// declareConnections declares what is counted for each connection and handshake.
func (m *Metrics) declareConnections() {
	m.accepted = m.counter("websocket_accepted_total",
		"The number of connections that the gateway accepted.", open("protocol"))
	m.refused = m.counter("websocket_refused_total",
		"The number of handshakes that the gateway refused.",
		oneOf("reason", "full", "per_ip", "per_user", "rate", "handshake_timeout", "handshake_crowd", "proxy_protocol",
			"origin", "draining", "malformed", "not_websocket", "bad_request", "channel_limit", "token", "token_expired",
			"permission", "hook", "broker", "internal"))
	m.closed = m.counter("websocket_closed_total",
		"The number of connections that ended, by close code. 1006 is a client that left without a close frame.",
		open("protocol"), open("code"))
	m.dropped = m.counter("websocket_dropped_clients_total",
		"The number of clients that the gateway disconnected because they were too slow, sent too much, answered no ping, "+
			"or sent a large message while the gateway had no memory for it.",
		oneOf("reason", "slow", "rate", "heartbeat", "memory"))
	m.drainClosed = m.counter("websocket_drain_closed_total",
		"The number of connections that drains closed. paced ones were closed one after the other, "+
			"forced ones at the deadline.",
		oneOf("how", "paced", "forced"))
}

// declareMessages declares what is counted for messages and their channels.
func (m *Metrics) declareMessages() {
	m.messagesDropped = m.counter("websocket_dropped_messages_total",
		"The number of messages that slow clients did not get, by the slowConsumer policy of the channel.",
		oneOf("policy", transport.DropOldest.String(), transport.LatestOnly.String()))
	m.messagesReceived = m.counter("websocket_messages_received_total",
		"The number of messages that clients sent.", open("protocol"))
	m.bytesReceived = m.counter("websocket_received_bytes_total",
		"The number of payload bytes that clients sent.", open("protocol"))
	m.messageBytes = m.histogram("websocket_received_message_bytes",
		"The size in bytes of the messages that clients sent, compressed ones as they were sent.",
		prometheus.ExponentialBuckets(64, 4, 8), open("protocol"))
	m.messagesSent = m.counter("websocket_messages_sent_total",
		"The number of frames that the gateway wrote to clients, pings and close frames included.", open("protocol"))
	m.bytesSent = m.counter("websocket_sent_bytes_total",
		"The number of bytes that the gateway wrote to clients.", open("protocol"))
	m.publishSeconds = m.histogram("websocket_publish_seconds",
		"The time in seconds until the broker accepted a publication.", prometheus.ExponentialBuckets(0.00005, 4, 9)).
		WithLabelValues()
	m.publishErrors = m.counter("websocket_publish_errors_total",
		"The number of publications that the broker did not accept.", oneOf("reason", "unavailable", "refused"))
	m.commandErrors = m.counter("websocket_command_errors_total",
		"The number of errors that the gateway answered to Centrifuge commands, by error code. "+
			"application stands for all codes that backends define.", open("code"))
	m.streamGaps = m.counter("websocket_stream_gaps_total",
		"The number of gaps in the streams of channels that the gateway could not fill. "+
			"Subscribers that rely on the stream had to subscribe again.").
		WithLabelValues()
}

// declareBackends declares what is counted for the server API, hooks and the webhook.
func (m *Metrics) declareBackends() {
	m.apiRequests = m.counter("websocket_api_requests_total",
		"The number of requests to the server API, by method.", open("method"), oneOf("outcome", "ok", "error", "refused"))
	m.apiSeconds = m.histogram("websocket_api_seconds",
		"The time in seconds that requests to the server API took, by method.",
		prometheus.ExponentialBuckets(0.00025, 4, 9), open("method"))
	m.hookCalls = m.counter("websocket_hook_calls_total",
		"The number of calls of hooks.", open("hook"),
		oneOf("outcome", "ok", "error", "disconnect", "down", "allowed_while_down", "canceled"))
	m.hookSeconds = m.histogram("websocket_hook_seconds",
		"The time in seconds until the backend of a hook answered.", prometheus.ExponentialBuckets(0.001, 3, 9), open("hook"))
	m.webhookEvents = m.counter("websocket_webhook_events_total",
		"The number of events for the webhook. Events with the outcome queue_full or shutdown were never sent.",
		oneOf("outcome", "delivered", "rejected", "failed", hooks.DropQueueFull, hooks.DropShutdown))
}

// Sources are the functions and limits that the gauges of Watch read. The functions are called at every
// scrape and must be safe for concurrent use.
type Sources struct {
	// Version is the gateway's release.
	Version string
	// Connections returns the number of open client connections, Limit the maximum.
	Connections func() int
	Limit       func() int
	// ConnectRate is the maximum number of new connections per second of this gateway. 0 is no limit.
	ConnectRate int
	// MessageRate is the maximum number of messages per second of one connection. 0 is no limit.
	MessageRate int
	// QueuedBytes returns the memory in bytes of the messages that wait for clients, and of large ones that they send.
	QueuedBytes func() int64
	// QueuedBytesLimit is the maximum of QueuedBytes.
	QueuedBytesLimit int64
	// HeldRefusals returns the number of refusals that are held back.
	HeldRefusals func() int
	// Channels returns the number of channels that this gateway is subscribed to at the broker.
	Channels func() int
	Broker   func() broker.Status
	State    func() contract.State
	// Users returns the number of users that have a connection to this gateway.
	Users func() int
	// WebhookQueue returns the number of events that wait to be sent to the webhook.
	WebhookQueue func() int
	// BreakerOpen reports whether the gateway has stopped calling a hook because its backend is down.
	BreakerOpen func(hook string) bool
}

// Watch declares the gauges that are read from the gateway's parts. Call it once.
func (m *Metrics) Watch(s Sources) {
	m.gauges("wsfleet_gateway_info", "Always 1. The label version is the release of the gateway.",
		oneOf("version", s.Version), func(string) float64 { return 1 })
	m.gauge(contract.MetricConnections, "The number of open client connections.",
		func() float64 { return float64(s.Connections()) })
	m.gauge("websocket_connections_limit", "The maximum number of connections that this gateway holds.",
		func() float64 { return float64(s.Limit()) })
	m.gauge("websocket_connect_rate_limit",
		"The maximum number of new connections per second that this gateway accepts. 0 means no limit.",
		func() float64 { return float64(s.ConnectRate) })
	m.gauge("websocket_message_rate_limit",
		"The maximum number of messages per second that one client may send. 0 means no limit.",
		func() float64 { return float64(s.MessageRate) })
	m.gauge("websocket_queued_bytes",
		"The memory in bytes of the messages that wait for clients, and of the large messages that clients send. "+
			"A message that waits for many clients counts once.",
		func() float64 { return float64(s.QueuedBytes()) })
	m.gauge("websocket_queued_bytes_limit", "The maximum memory in bytes of messages of all clients together.",
		func() float64 { return float64(s.QueuedBytesLimit) })
	m.gauge("websocket_held_refusals",
		"The number of clients that wait for the answer that they cannot connect for now.",
		func() float64 { return float64(s.HeldRefusals()) })
	m.gauge("websocket_channels", "The number of channels that this gateway is subscribed to at the broker.",
		func() float64 { return float64(s.Channels()) })
	m.gauge("websocket_users", "The number of users that have a connection to this gateway.",
		func() float64 { return float64(s.Users()) })
	m.gauge("websocket_webhook_queue", "The number of events that wait to be sent to the webhook.",
		func() float64 { return float64(s.WebhookQueue()) })
	m.gauges("websocket_hook_breaker_open",
		"1 while the gateway does not call the hook because its backend is down.",
		oneOf("hook", hooks.HookConnect, hooks.HookSubscribe, hooks.HookPublish, hooks.HookRPC, hooks.HookRefresh,
			hooks.HookSubRefresh, hooks.HookWebhook),
		func(hook string) float64 { return boolValue(s.BreakerOpen(hook)) })
	m.gauges("websocket_broker_state", "1 for the state of the connection to the broker, 0 for the other states.",
		oneOf("state", string(contract.BrokerReady), string(contract.BrokerConnecting), string(contract.BrokerDegraded)),
		func(state string) float64 { return boolValue(string(s.Broker().State) == state) })
	m.gauges("websocket_drain_state", "1 for the state of the gateway, 0 for the other states.",
		oneOf("state", string(contract.StateServing), string(contract.StateDraining), string(contract.StateDrained)),
		func(state string) float64 { return boolValue(string(s.State()) == state) })
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Handler returns the handler of GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
