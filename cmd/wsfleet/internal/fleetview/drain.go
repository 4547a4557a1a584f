package fleetview

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// CheckDrain returns an error that says why a gateway must not be told to drain, and what to do instead. With force it
// lets the last serving gateway drain, and one whose clients the others cannot hold.
func CheckDrain(o Observation, name string, force bool) error {
	if err := checkReachable(o, name); err != nil {
		return err
	}
	if o.Pod(name).DeletionTimestamp != nil {
		return fmt.Errorf("pod %s is being deleted, and its gateway drains by itself: follow it with `status -w`", name)
	}
	report := o.report(o.Pod(name))
	if force || report.State != contract.StateServing {
		return nil
	}
	others := slices.DeleteFunc(o.planned(), func(g plan.Gateway) bool { return g.Pod.Name == name })
	switch room := plan.Room(others); {
	case plan.Serving(others) == 0:
		return fmt.Errorf("pod %s is the last gateway that serves: its clients would find no other one; "+
			"raise spec.replicas first, or give --force", name)
	case report.Connections > 0 && connectionsOf(o) > room:
		return fmt.Errorf("the other gateways could not hold all clients: the fleet has %d connections, and they hold %d; "+
			"raise spec.replicas or spec.gateway.maxConnections first, or give --force", connectionsOf(o), room)
	}
	return nil
}

// CheckUndrain returns an error that says why a gateway must not be told to serve again, and what to do instead.
func CheckUndrain(o Observation, name string) error {
	if err := checkReachable(o, name); err != nil {
		return err
	}
	pod := o.Pod(name)
	if pod.DeletionTimestamp != nil {
		return fmt.Errorf("pod %s is being deleted, which cannot be undone: its Deployment replaces it if the fleet needs it",
			name)
	}
	smaller := deploymentSize(o.Deployment) > int(*o.Cluster.Spec.Replicas)
	if drain := o.report(pod).Drain; smaller && drain != nil && drain.Reason == plan.DrainReasonScaleIn {
		return fmt.Errorf("gateway %s drains because spec.replicas is lower, so the operator would drain it again: "+
			"raise the size instead, with `kubectl scale -n %s websocketcluster/%s --replicas=%d`",
			name, pod.Namespace, o.Cluster.Name, *o.Cluster.Spec.Replicas+1)
	}
	return nil
}

// checkReachable returns an error that says why a gateway cannot be told anything.
func checkReachable(o Observation, name string) error {
	pod := o.Pod(name)
	if pod == nil {
		return errGone
	}
	state, detail := o.stateOf(pod)
	if fleet.HasEnded(pod) || o.report(pod) == nil {
		if o.NotAsked != "" {
			detail = o.NotAsked
		}
		return fmt.Errorf("gateway %s cannot be reached, and nothing was changed: it is %s", name,
			joinReason(string(state), detail))
	}
	return nil
}

func connectionsOf(o Observation) int {
	sum := 0
	for _, answer := range o.Answers {
		sum += answer.Report.Connections
	}
	return sum
}

// Progress returns how far the drain of a gateway is, in one line.
func (g Gateway) Progress(now time.Time) string {
	if g.Drain == nil || g.Connections == nil {
		return g.Pod + " is " + joinReason(string(g.State), g.Detail)
	}
	return fmt.Sprintf("%s: %d connections left (%s)", g.Pod, *g.Connections, g.stateText(now))
}

// Overdue reports whether a gateway still drains although its deadline is over by a margin.
func (g Gateway) Overdue(margin time.Duration, now time.Time) bool {
	return g.State == StateDraining && g.Drain != nil && now.After(g.Drain.Deadline.Add(margin))
}

// WriteText writes what the gateway does, and what comes next, in one line. It returns the error of w.
func (g Gateway) WriteText(w io.Writer) error {
	var text string
	switch {
	case g.State == StateDrained && g.Drain != nil:
		text = fmt.Sprintf("%s is drained: %d connections were closed one after the other, %d at once at the deadline; "+
			"it stays so until `undrain %s`, or until its pod is deleted", g.Pod, g.Drain.Closed, g.Drain.Forced, g.Pod)
	case g.State == StateDraining && g.Drain != nil:
		text = g.Progress(g.now)
	case g.Detail != "":
		text = fmt.Sprintf("%s is %s: %s", g.Pod, g.State, g.Detail)
	default:
		text = fmt.Sprintf("%s is %s", g.Pod, g.State)
	}
	_, err := fmt.Fprintln(w, text)
	return err //nolint:wrapcheck // the caller's own writer
}
