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
	// maxText is what the API server takes of an event's text, and what a condition shows of its
	// answers: they repeat the values that they refuse, and a condition that is too long is refused too.
	maxText = 1024
	// sameAgain is how long an event is not repeated word for word. The recorder counts repetitions
	// only until the cluster's resourceVersion changes, which every write of its status does.
	sameAgain = 10 * time.Minute
)

// What the operator does to objects, as events call it.
const (
	actionCreate = "Create"
	actionUpdate = "Update"
	actionDelete = "Delete"
)

// teller makes events about a cluster, and does not say the same again and again while something
// comes and goes.
type teller struct {
	recorder events.EventRecorder
	now      func() time.Time

	mu   sync.Mutex
	told map[saying]time.Time
}

// saying is what makes two events the same.
type saying struct {
	cluster      types.UID
	reason, note string
}

func newTeller(recorder events.EventRecorder) *teller {
	return &teller{recorder: recorder, now: time.Now, told: map[saying]time.Time{}}
}

// repaired tells of drift. Somebody who changes an object whenever the operator has put it right is
// told of once in a while.
func (t *teller) repaired(cluster *v1alpha1.WebSocketCluster, object runtime.Object, note string) {
	if !t.toldLately(saying{cluster.UID, v1alpha1.ReasonUpdated, note}) {
		t.changed(cluster, object, v1alpha1.ReasonUpdated, actionUpdate, note)
	}
}

// changed tells of what the operator did to one of the cluster's objects.
func (t *teller) changed(cluster *v1alpha1.WebSocketCluster, object runtime.Object, reason, action, note string) {
	// The related object keeps events apart, which are otherwise counted as one.
	t.recorder.Eventf(cluster, object, corev1.EventTypeNormal, reason, action, "%s", shorten(note))
}

// warn tells of what the user has to do something about.
func (t *teller) warn(cluster *v1alpha1.WebSocketCluster, reason, action, note string) {
	if t.toldLately(saying{cluster.UID, reason, note}) {
		return
	}
	t.recorder.Eventf(cluster, nil, corev1.EventTypeWarning, reason, action, "%s", shorten(note))
}

func (t *teller) toldLately(what saying) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for other, at := range t.told {
		if now.Sub(at) >= sameAgain {
			delete(t.told, other)
		}
	}
	if _, told := t.told[what]; told {
		return true
	}
	t.told[what] = now
	return false
}

// shorten keeps the beginning of a text that is too long.
func shorten(text string) string {
	const more = " ..."
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText-len(more)], "") + more
}
