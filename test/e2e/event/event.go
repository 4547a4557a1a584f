// Package event defines the events that test/e2e/client prints and test/e2e reads.
package event

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"time"
)

// Kind of an event.
type Kind string

// What can happen to a client's connection.
const (
	Opened  Kind = "opened"
	Closed  Kind = "closed"
	Failed  Kind = "failed"
	Message Kind = "message"
)

// SDK is the client's protocol that is an SDK's, with recovery.
const SDK = "sdk"

// Event is one thing that happened to one connection.
type Event struct {
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind"`
	Client int       `json:"client"`
	// TLS is whether the client used the fleet's URL with TLS.
	TLS bool `json:"tls,omitempty"`
	// Node that held the connection.
	Node string `json:"node,omitempty"`
	// Code of the close frame, or the HTTP status of a refused handshake.
	Code int `json:"code,omitempty"`
	// Reason of the close, the error of a failed handshake, or the message's text.
	Reason string `json:"reason,omitempty"`
}

// Log writes events, one JSON object a line. Safe for many goroutines.
type Log struct {
	mu  sync.Mutex
	out *json.Encoder
}

// NewLog writes to out.
func NewLog(out io.Writer) *Log { return &Log{out: json.NewEncoder(out)} }

// Add stamps the event and writes it.
func (l *Log) Add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.At = time.Now().UTC()
	_ = l.out.Encode(e)
}

// Parse reads what a Log wrote; a last line that is still being written is left out.
func Parse(text string) []Event {
	var events []Event
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}
