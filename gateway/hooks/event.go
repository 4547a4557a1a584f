package hooks

import (
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Kind is the kind of an event.
type Kind string

// The kinds of events, as WebhookEvents names them.
const (
	Connected    Kind = "connected"
	Disconnected Kind = "disconnected"
	// Occupied means that a channel got its first subscriber in the fleet.
	Occupied Kind = "occupied"
	// Vacated means that a channel lost its last subscriber in the fleet.
	Vacated Kind = "vacated"
)

// kinds returns all kinds.
func kinds() []Kind { return []Kind{Connected, Disconnected, Occupied, Vacated} }

// Event is an event for the webhook. Fields that do not apply to its Kind are empty.
type Event struct {
	Kind Kind
	// Time is when it happened. The zero time means now.
	Time     time.Time
	Client   string
	User     string
	Channel  string
	Protocol string
	// Code is the close code of a Disconnected connection.
	Code uint32
	// Reason is its close reason.
	Reason string
}

// cloudEvent is an event in the JSON format of CloudEvents 1.0. The SDK of CloudEvents would link reflection and XML
// into the gateway for these eight members. The tests compare them with the SDK.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject,omitempty"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            eventData `json:"data"`
}

// eventData is the data of a cloudEvent.
type eventData struct {
	Client   string `json:"client,omitempty"`
	User     string `json:"user,omitempty"`
	Channel  string `json:"channel,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Code     uint32 `json:"code,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// cloudEvent returns the event in its JSON format, with a new id.
func (e Event) cloudEvent(source string) cloudEvent {
	subject := e.Client
	if e.Kind == Occupied || e.Kind == Vacated {
		subject = e.Channel
	}
	return cloudEvent{
		SpecVersion:     "1.0",
		ID:              uuid.NewString(),
		Source:          source,
		Type:            e.Kind.cloudType(),
		Subject:         subject,
		Time:            e.Time.UTC(),
		DataContentType: "application/json",
		Data: eventData{
			Client:   e.Client,
			User:     e.User,
			Channel:  e.Channel,
			Protocol: e.Protocol,
			Code:     e.Code,
			Reason:   e.Reason,
		},
	}
}

// cloudType returns the type attribute of the kind.
func (k Kind) cloudType() string {
	switch k {
	case Connected:
		return "dev.wsfleet.connection.opened"
	case Disconnected:
		return "dev.wsfleet.connection.closed"
	case Occupied:
		return "dev.wsfleet.channel.occupied"
	case Vacated:
		return "dev.wsfleet.channel.vacated"
	}
	return ""
}

// source returns the source attribute of this gateway's events, a URI reference.
func source(cluster, node string) string {
	if cluster == "" {
		cluster = "standalone"
	}
	return "/wsfleet/" + url.PathEscape(cluster) + "/" + url.PathEscape(node)
}

// wantedKinds returns the set of kinds with these names, or of all kinds when names is empty.
func wantedKinds(names []string) map[Kind]bool {
	set := map[Kind]bool{}
	for _, k := range kinds() {
		set[k] = len(names) == 0 || slices.Contains(names, string(k))
	}
	return set
}
