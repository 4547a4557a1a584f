package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// Kind is a kind of event.
type Kind string

// The kinds of events.
const (
	// Rollout replaces all gateways by new ones.
	Rollout Kind = "rollout"
	// ScaleIn lowers spec.replicas by a number of gateways.
	ScaleIn Kind = "scale-in"
	// ScaleOut raises spec.replicas by a number of gateways.
	ScaleOut Kind = "scale-out"
	// ZoneLoss takes all nodes of one zone away for good.
	ZoneLoss Kind = "zone-loss"
	// NodeLoss takes a number of nodes away for good.
	NodeLoss Kind = "node-loss"
	// RedisLoss takes Redis away for some time.
	RedisLoss Kind = "redis-loss"
	// Kill ends the processes of a number of gateways, which start again in their pods.
	Kill Kind = "kill"
)

// Kinds returns the kinds of events with what each does, for help texts.
func Kinds() [][2]string {
	return [][2]string{
		{string(Rollout), "all gateways are replaced, as after a change of the spec"},
		{string(ScaleIn) + "=N", "spec.replicas becomes lower by N"},
		{string(ScaleOut) + "=N", "spec.replicas becomes higher by N"},
		{string(ZoneLoss), "all nodes of one zone are lost"},
		{string(NodeLoss) + "=N", "N nodes are lost (1 without a number)"},
		{string(RedisLoss) + "=TIME", "Redis is away for a time (1m without one): new gateways do not become ready"},
		{string(Kill) + "=N", "N gateways are killed and start again (1 without a number)"},
	}
}

// Event is something that happens to the fleet.
type Event struct {
	Kind Kind
	// At is the virtual time since the start.
	At time.Duration
	// Count is the number of gateways or nodes of kinds that have one.
	Count int
	// Duration is how long Redis is away.
	Duration time.Duration
}

const defaultRedisLoss = time.Minute

// counted reports whether events of the kind have a number.
func (k Kind) counted() bool { return slices.Contains([]Kind{ScaleIn, ScaleOut, NodeLoss, Kill}, k) }

// String returns the event as ParseEvent reads it.
func (e Event) String() string {
	text := string(e.Kind)
	switch {
	case e.Kind.counted():
		text += "=" + strconv.Itoa(e.Count)
	case e.Kind == RedisLoss:
		text += "=" + e.Duration.String()
	}
	if e.At > 0 {
		text += "@" + e.At.String()
	}
	return text
}

// ParseEvent reads an event like rollout, kill=2@30s or redis-loss=1m@5m. It returns an *Error for other texts.
func ParseEvent(text string) (Event, error) {
	bad := func(format string, args ...any) (Event, error) {
		return Event{}, &Error{Field: "event", Problem: fmt.Sprintf("%q: ", text) + fmt.Sprintf(format, args...)}
	}
	what, at, timed := strings.Cut(text, "@")
	name, value, valued := strings.Cut(what, "=")
	e := Event{Kind: Kind(name)}
	if timed {
		var err error
		if e.At, err = time.ParseDuration(at); err != nil || e.At < 0 {
			return bad("%q is no time: give one from the start on, like %s@30s", at, what)
		}
	}
	var err error
	switch {
	case e.Kind.counted():
		e.Count = 1
		if valued {
			e.Count, err = strconv.Atoi(value)
		}
		if err != nil || e.Count < 1 || (e.Kind == ScaleIn || e.Kind == ScaleOut) && !valued {
			return bad("give a number of 1 or more, like %s=2", name)
		}
	case e.Kind == RedisLoss:
		e.Duration = defaultRedisLoss
		if valued {
			e.Duration, err = time.ParseDuration(value)
		}
		if err != nil || e.Duration <= 0 {
			return bad("give a time, like %s=1m", name)
		}
	case e.Kind != Rollout && e.Kind != ZoneLoss:
		return bad("unknown event: use %s", kindNames())
	case valued:
		return bad("%s takes no value: leave =%s out", name, value)
	}
	return e, nil
}

func kindNames() string {
	kinds := Kinds()
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = kind[0]
	}
	return strings.Join(names, ", ")
}

// counted returns the sum of the numbers of all events of a kind.
func (s *Scenario) counted(kind Kind) int {
	sum := 0
	for _, e := range s.Events {
		if e.Kind == kind {
			sum += e.Count
		}
	}
	return sum
}

// problem returns why the event cannot happen in the scenario and how to mend that, or "".
func (e Event) problem(s *Scenario) string {
	replicas := int(*s.Spec.Replicas)
	scaledIn, scaledOut := s.counted(ScaleIn), s.counted(ScaleOut)
	switch {
	case e.At < 0 || e.At > s.Limit:
		return fmt.Sprintf("it happens outside of the simulated time: give a time up to --limit, which is %v", s.Limit)
	case e.Kind == ScaleIn && scaledIn >= replicas:
		return fmt.Sprintf("all scale-ins together take %d of %d gateways: leave at least one", scaledIn, replicas)
	case e.Kind == ScaleOut && replicas+scaledOut > maxReplicas:
		return fmt.Sprintf("all scale-outs together make more than %d gateways: give fewer", maxReplicas)
	case e.Kind == ZoneLoss && s.Zones < 2:
		return "the only zone would be lost: give --zones of 2 or more"
	case e.Kind == Kill && e.Count > replicas:
		return fmt.Sprintf("there are %d gateways: give at most as many", replicas)
	case e.Kind == NodeLoss && e.Count*s.PodsPerNode >= replicas:
		return fmt.Sprintf("%d nodes may hold all %d gateways: give fewer", e.Count, replicas)
	}
	return ""
}

// ParseRange reads a time like 10s, or two like 8s-12s. It returns an *Error that names the field for other texts.
func ParseRange(field, text string) (Range, error) {
	wait, err := reconnect.ParseWait(text)
	if err != nil {
		return Range{}, &Error{Field: field, Problem: err.Error()}
	}
	return Range(wait), nil
}
