package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestDedupRecorderDropsRepetitions(t *testing.T) {
	fake := events.NewFakeRecorder(10)
	recorder := newDedupRecorder(fake)
	now := time.Now()
	recorder.now = func() time.Time { return now }
	one := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{UID: "1"}}
	other := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{UID: "2"}}

	recorder.warn(one, v1alpha1.ReasonUnreachable, "x", "lost")
	one.ResourceVersion = "2"
	recorder.warn(one, v1alpha1.ReasonUnreachable, "x", "lost")
	assert.Len(t, fake.Events, 1, "a repetition")
	recorder.warn(one, v1alpha1.ReasonUnreachable, "x", "lost in another way")
	recorder.warn(other, v1alpha1.ReasonUnreachable, "x", "lost")
	assert.Len(t, fake.Events, 3)

	now = now.Add(dedupWindow)
	recorder.warn(one, v1alpha1.ReasonUnreachable, "x", "lost")
	assert.Len(t, fake.Events, 4, "after the window it is recorded again")
	assert.Len(t, recorder.seen, 1, "expired keys are dropped")
}

// A change of the spec is an event each time. The repair of a field that another client keeps changing is not.
func TestDedupRecorderRecordsEachChange(t *testing.T) {
	fake := events.NewFakeRecorder(10)
	recorder := newDedupRecorder(fake)
	cluster := &v1alpha1.WebSocketCluster{}
	for range 2 {
		recorder.changed(cluster, nil, v1alpha1.ReasonCreated, actionCreate, "Created Service x")
		recorder.changed(cluster, nil, v1alpha1.ReasonDeleted, actionDelete, "Deleted Service x")
		recorder.changed(cluster, nil, v1alpha1.ReasonUpdated, actionUpdate, "Updated Service x: "+reasonDesiredChanged)
		recorder.repaired(cluster, nil, "Updated Service x: kubectl-edit changed .spec.ports")
	}
	assert.Len(t, fake.Events, 7)
	var warnings []string
	for range 7 {
		if event := <-fake.Events; strings.HasPrefix(event, "Warning") {
			warnings = append(warnings, event)
		}
	}
	assert.Equal(t, []string{"Warning Repaired Updated Service x: kubectl-edit changed .spec.ports"}, warnings)
}

// The API server refuses an event with a longer note, and the user would see nothing.
func TestDedupRecorderShortensNotes(t *testing.T) {
	fake := events.NewFakeRecorder(1)
	long := strings.Repeat("ä", maxText)
	newDedupRecorder(fake).warn(&v1alpha1.WebSocketCluster{}, v1alpha1.ReasonForeignObject, "x", long)
	note := strings.TrimPrefix(<-fake.Events, "Warning "+v1alpha1.ReasonForeignObject+" ")
	assert.LessOrEqual(t, len(note), maxText)
	assert.Regexp(t, "^ä+ [.]{3}$", note)
}
