package controllers

import (
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

const (
	// maxText is the maximum length in bytes of an event's note, and of the part of an API server's answer that a
	// condition shows. The API server refuses longer notes. Its own answers repeat the values that they refuse, and a
	// condition whose message is too long is refused too.
	maxText = 1024
	// dedupWindow is how long an event is not repeated word for word. The event recorder of client-go counts
	// repetitions only until the cluster's resourceVersion changes, which each write of its status does.
	dedupWindow = 10 * time.Minute
)

// What the operator does to objects, as the action of events.
const (
	actionCreate = "Create"
	actionUpdate = "Update"
	actionDelete = "Delete"
	actionDrain  = "Drain"
)

// dedupRecorder records events about clusters and drops repetitions within dedupWindow. Its methods may be called by
// several goroutines at once.
type dedupRecorder struct {
	recorder events.EventRecorder
	now      func() time.Time

	// mu guards seen.
	mu sync.Mutex
	// seen holds when each event was last recorded.
	seen map[eventKey]time.Time
}

// eventKey identifies an event: two events with the same key are repetitions.
type eventKey struct {
	cluster      types.UID
	reason, note string
}

func newDedupRecorder(recorder events.EventRecorder) *dedupRecorder {
	return &dedupRecorder{recorder: recorder, now: time.Now, seen: map[eventKey]time.Time{}}
}

// repaired records that another client changed an object and the operator wrote it. A client that changes the object
// back after each repair causes one event per dedupWindow.
func (d *dedupRecorder) repaired(cluster *v1alpha1.WebSocketCluster, object runtime.Object, note string) {
	if !d.isRepetition(eventKey{cluster.UID, v1alpha1.ReasonRepaired, note}) {
		d.recorder.Eventf(cluster, object, corev1.EventTypeWarning, v1alpha1.ReasonRepaired, actionUpdate, "%s",
			shorten(note))
	}
}

// changed records what the operator did to one of the cluster's objects. It drops no repetitions.
func (d *dedupRecorder) changed(
	cluster *v1alpha1.WebSocketCluster, object runtime.Object, reason, action, note string,
) {
	// client-go would count events about different objects as one without the related object.
	d.recorder.Eventf(cluster, object, corev1.EventTypeNormal, reason, action, "%s", shorten(note))
}

// warn records a problem that the user has to solve.
func (d *dedupRecorder) warn(cluster *v1alpha1.WebSocketCluster, reason, action, note string) {
	if d.isRepetition(eventKey{cluster.UID, reason, note}) {
		return
	}
	d.recorder.Eventf(cluster, nil, corev1.EventTypeWarning, reason, action, "%s", shorten(note))
}

// isRepetition reports whether the event was recorded within dedupWindow. If not, it notes the event as recorded now.
func (d *dedupRecorder) isRepetition(key eventKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for other, at := range d.seen {
		if now.Sub(at) >= dedupWindow {
			delete(d.seen, other)
		}
	}
	if _, seen := d.seen[key]; seen {
		return true
	}
	d.seen[key] = now
	return false
}

// shorten cuts text to maxText bytes and marks the cut.
func shorten(text string) string {
	const mark = " ..."
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText-len(mark)], "") + mark
}
