package hooks

import (
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Kind is what happened.
type Kind string

// The kinds of events, as WebhookEvents names them.
const (
	Connected    Kind = "connected"
	Disconnected Kind = "disconnected"
	// Occupied is a channel's first subscriber, Vacated its last one's leave.
	Occupied Kind = "occupied"
	Vacated  Kind = "vacated"
)

func kinds() []Kind { return []Kind{Connected, Disconnected, Occupied, Vacated} }

// Event is news for the webhook. What does not apply stays empty.
type Event struct {
	Kind Kind
	// Time is now when it is zero.
	Time     time.Time
	Client   string
	User     string
	Channel  string
	Protocol string
	// Code and Reason are why a connection ended.
	Code   uint32
	Reason string
}

// cloudEvent is an Event as CloudEvents 1.0 writes it in JSON. The SDK of CloudEvents would link
// reflection and XML into the gateway for these eight members; the tests hold them against it.
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

type eventData struct {
	Client   string `json:"client,omitempty"`
	User     string `json:"user,omitempty"`
	Channel  string `json:"channel,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Code     uint32 `json:"code,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

func (e Event) cloudEvent(source string) cloudEvent {
	subject := e.Client
	if e.Kind == Occupied || e.Kind == Vacated {
		subject = e.Channel
	}
	return cloudEvent{
		SpecVersion: "1.0", ID: uuid.NewString(), Source: source, Type: e.Kind.cloudType(), Subject: subject, Time: e.Time.UTC(),
		DataContentType: "application/json",
		Data:            eventData{Client: e.Client, User: e.User, Channel: e.Channel, Protocol: e.Protocol, Code: e.Code, Reason: e.Reason},
	}
}

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

// source is where this gateway's events come from, a URI reference.
func source(cluster, node string) string {
	if cluster == "" {
		cluster = "standalone"
	}
	return "/wsfleet/" + url.PathEscape(cluster) + "/" + url.PathEscape(node)
}

// wanted are the kinds that names stand for: all of them when there are none.
func wanted(names []string) map[Kind]bool {
	set := map[Kind]bool{}
	for _, k := range kinds() {
		set[k] = len(names) == 0 || slices.Contains(names, string(k))
	}
	return set
}
