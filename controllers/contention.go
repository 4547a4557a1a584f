package controllers

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

const (
	// contestedRepairs is how many repairs within contestedWindow make an object contested.
	contestedRepairs = 3
	contestedWindow  = time.Minute
	// minContestedPause and maxContestedPause bound the time between two repairs of a contested object. Each further
	// repair doubles it.
	minContestedPause = 10 * time.Second
	maxContestedPause = 5 * time.Minute
)

// contention remembers which objects another client changes again and again, so that the operator repairs them less and
// less often instead of as fast as the other client writes. Its methods may be called by several goroutines at once.
type contention struct {
	now func() time.Time

	// mu guards disputes.
	mu sync.Mutex
	// disputes holds the objects that were repaired lately, by cluster.
	disputes map[client.ObjectKey]map[render.Ref]*dispute
}

// dispute is what is known of an object that was repaired lately.
type dispute struct {
	// repairs are the times of the last repairs, at most contestedRepairs.
	repairs []time.Time
	// by says which client changed which field last.
	by offence
	// pause is the time from the last repair to the next one. It is 0 while the object is not contested.
	pause time.Duration
}

func newContention() *contention {
	return &contention{now: time.Now, disputes: map[client.ObjectKey]map[render.Ref]*dispute{}}
}

// mayRepair reports whether the object may be repaired now.
func (c *contention) mayRepair(cluster client.ObjectKey, ref render.Ref) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.disputes[cluster][ref]
	return one == nil || !c.now().Before(one.last().Add(one.pause))
}

// noteRepair notes that the object was repaired now, after another client had changed it.
func (c *contention) noteRepair(cluster client.ObjectKey, ref render.Ref, by offence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.disputes[cluster] == nil {
		c.disputes[cluster] = map[render.Ref]*dispute{}
	}
	one := c.disputes[cluster][ref]
	if one == nil {
		one = &dispute{}
		c.disputes[cluster][ref] = one
	}
	one.add(c.now(), by)
}

// problems returns the problems with the cluster's contested objects, and forgets the objects that have been quiet.
func (c *contention) problems(cluster client.ObjectKey) []status.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	var problems []status.Problem
	for ref, one := range c.disputes[cluster] {
		switch {
		case c.now().Sub(one.last()) >= one.quietAfter():
			delete(c.disputes[cluster], ref)
		case one.pause > 0:
			problems = append(problems, contestedProblem(ref, one))
		}
	}
	if len(c.disputes[cluster]) == 0 {
		delete(c.disputes, cluster)
	}
	slices.SortFunc(problems, func(a, b status.Problem) int { return strings.Compare(a.Message, b.Message) })
	return problems
}

// recheckAfter returns when the next pause of a contested object of the cluster ends, or it counts as quiet. It returns
// 0 when none is contested.
func (c *contention) recheckAfter(cluster client.ObjectKey) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var soonest time.Duration
	for _, one := range c.disputes[cluster] {
		if one.pause == 0 {
			continue
		}
		for _, at := range []time.Duration{one.pause, one.quietAfter()} {
			if left := one.last().Add(at).Sub(c.now()); left > 0 && (soonest == 0 || left < soonest) {
				soonest = left
			}
		}
	}
	return soonest
}

// forget drops a cluster that was deleted.
func (c *contention) forget(cluster client.ObjectKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.disputes, cluster)
}

// add notes a repair. The third repair within contestedWindow makes the object contested, and each further one doubles
// the pause.
func (d *dispute) add(now time.Time, by offence) {
	d.by = by
	d.repairs = append(d.repairs, now)
	if extra := len(d.repairs) - contestedRepairs; extra > 0 {
		d.repairs = d.repairs[extra:]
	}
	switch {
	case d.pause > 0:
		d.pause = min(2*d.pause, maxContestedPause)
	case len(d.repairs) == contestedRepairs && now.Sub(d.repairs[0]) < contestedWindow:
		d.pause = minContestedPause
	}
}

// last returns the time of the last repair.
func (d *dispute) last() time.Time { return d.repairs[len(d.repairs)-1] }

// quietAfter is how long after its last repair the object counts as quiet, when nothing has changed it again. An object
// that was changed in its pause is repaired at the end of the pause, and so counts as quiet only after the next one.
func (d *dispute) quietAfter() time.Duration { return max(contestedWindow, 2*d.pause) }

// contestedProblem says which client changes which field of the object.
func contestedProblem(ref render.Ref, one *dispute) status.Problem {
	return status.Problem{
		Reason: v1alpha1.ReasonContested,
		Message: fmt.Sprintf("%s changes %s of %s again and again, so the operator restores it less and less often: %s",
			one.by.manager, one.by.field, ref, contestedRemedy(one.by)),
	}
}

// contestedRemedy returns what the user can do about a contested field.
func contestedRemedy(by offence) string {
	if by.field == ".spec.replicas" {
		return "delete the HorizontalPodAutoscaler, or stop the client, that scales the Deployment, and scale the " +
			"WebSocketCluster instead (spec.replicas or spec.autoscaling)"
	}
	return "stop that client, and change the WebSocketCluster instead"
}
