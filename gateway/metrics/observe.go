package metrics

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// ConnectionAccepted implements transport.Observer.
func (m *Metrics) ConnectionAccepted(protocol string) {
	m.accepted.WithLabelValues(protocol).Inc()
	m.connectRate.add()
}

// ConnectRate returns the number of connections that the gateway accepted per second in the last minute, on average.
func (m *Metrics) ConnectRate() float64 { return m.connectRate.perSecond() }

// ConnectionRefused implements transport.Observer.
func (m *Metrics) ConnectionRefused(reason string) {
	m.refused.WithLabelValues(reason).Inc()
	switch reason {
	case "origin", "bad_request", "channel_limit", "token", "permission", "hook", "broker", "internal":
		m.rejectRate.add()
	case "rate", "handshake_crowd":
		m.crowdRate.add()
	}
}

// ConnectFailed counts a connect command of a connection that the gateway had accepted, and whose client it does not
// let in, or cannot tell whether it may.
func (m *Metrics) ConnectFailed() { m.rejectRate.add() }

// RejectRate returns the number of clients that the gateway turned away per second in the last minute, on average: see
// contract.GatewayReport.
func (m *Metrics) RejectRate() float64 { return m.rejectRate.perSecond() }

// CrowdRate returns the number of handshakes per second that were more than the gateway accepts at once, in the last
// minute, on average.
func (m *Metrics) CrowdRate() float64 { return m.crowdRate.perSecond() }

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

// traffic counts the messages of one protocol.
type traffic struct {
	received, bytesReceived, sent, bytesSent prometheus.Counter
	receivedBytes                            prometheus.Observer
}

// trafficOf returns the counters of a protocol. They are looked up by label once and not for each message.
func (m *Metrics) trafficOf(protocol string) *traffic {
	if t, ok := m.traffic.Load(protocol); ok {
		return t.(*traffic)
	}
	t, _ := m.traffic.LoadOrStore(protocol, &traffic{
		received:      m.messagesReceived.WithLabelValues(protocol),
		bytesReceived: m.bytesReceived.WithLabelValues(protocol),
		sent:          m.messagesSent.WithLabelValues(protocol),
		bytesSent:     m.bytesSent.WithLabelValues(protocol),
		receivedBytes: m.messageBytes.WithLabelValues(protocol),
	})
	return t.(*traffic)
}

// MessageReceived implements transport.Observer.
func (m *Metrics) MessageReceived(protocol string, bytes int) {
	t := m.trafficOf(protocol)
	t.received.Inc()
	t.bytesReceived.Add(float64(bytes))
	t.receivedBytes.Observe(float64(bytes))
}

// MessagesSent implements transport.Observer.
func (m *Metrics) MessagesSent(protocol string, messages, bytes int) {
	t := m.trafficOf(protocol)
	t.sent.Add(float64(messages))
	t.bytesSent.Add(float64(bytes))
}

// Published counts one attempt to publish. took is the time until the broker answered; err is nil for a
// publication that the broker accepted.
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

// CommandFailed counts an error that the gateway answered to a Centrifuge command.
func (m *Metrics) CommandFailed(code uint32) {
	label := "application"
	if code < firstBackendError {
		label = strconv.FormatUint(uint64(code), 10)
	}
	m.commandErrors.WithLabelValues(label).Inc()
}

// firstBackendError is the lowest error code that backends define themselves.
const firstBackendError = 400

// APIRequest counts a request to the server API. outcome is ok, error or refused.
func (m *Metrics) APIRequest(method, outcome string, took time.Duration) {
	m.apiRequests.WithLabelValues(method, outcome).Inc()
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

// StreamGap counts a gap in the stream of a channel that the gateway could not fill.
func (m *Metrics) StreamGap() { m.streamGaps.Inc() }

// DrainClosed counts n connections that a drain closed. forced is true for those that were closed at the
// deadline.
func (m *Metrics) DrainClosed(n int, forced bool) {
	how := "paced"
	if forced {
		how = "forced"
	}
	m.drainClosed.WithLabelValues(how).Add(float64(n))
}

// CertificateFailed counts a change of the certificate's files that the gateway could not use.
func (m *Metrics) CertificateFailed() { m.certificateErrors.Inc() }

// closeLabel returns the label of a close code. Clients choose their close codes freely, so that all unknown
// ones share a label.
func closeLabel(code int) string {
	known := []int{
		1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013,
		3000, 3001, 3004, 3005, 3008, 3010, 3011, 3012, 3500, 3501, 3502, 3503, 3504, 3505, 3507,
		4008, 4009,
	}
	if slices.Contains(known, code) {
		return strconv.Itoa(code)
	}
	return "other"
}
