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

func TestTellerDoesNotRepeatItself(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	teller := newTeller(recorder)
	now := time.Now()
	teller.now = func() time.Time { return now }
	one := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{UID: "1"}}
	other := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{UID: "2"}}

	teller.warn(one, v1alpha1.ReasonUnreachable, "x", "lost")
	one.ResourceVersion = "2"
	teller.warn(one, v1alpha1.ReasonUnreachable, "x", "lost")
	assert.Len(t, recorder.Events, 1, "the same again")
	teller.warn(one, v1alpha1.ReasonUnreachable, "x", "lost in another way")
	teller.warn(other, v1alpha1.ReasonUnreachable, "x", "lost")
	assert.Len(t, recorder.Events, 3)

	now = now.Add(sameAgain)
	teller.warn(one, v1alpha1.ReasonUnreachable, "x", "lost")
	assert.Len(t, recorder.Events, 4, "the same after a while is news")
	assert.Len(t, teller.told, 1, "what was told long ago is forgotten")
}

// What the user toggles is told every time; what somebody keeps changing is not.
func TestTellerOfChanges(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	teller := newTeller(recorder)
	cluster := &v1alpha1.WebSocketCluster{}
	for range 2 {
		teller.changed(cluster, nil, v1alpha1.ReasonCreated, actionCreate, "Created Service x")
		teller.changed(cluster, nil, v1alpha1.ReasonDeleted, actionDelete, "Deleted Service x")
		teller.changed(cluster, nil, v1alpha1.ReasonUpdated, actionUpdate, "Updated Service x: "+whyNewDesire)
		teller.repaired(cluster, nil, "Updated Service x: somebody else changed .spec.ports")
	}
	assert.Len(t, recorder.Events, 7)
}

// The API server refuses an event with a longer text, and the user would hear nothing.
func TestTellerKeepsNotesShort(t *testing.T) {
	recorder := events.NewFakeRecorder(1)
	newTeller(recorder).warn(&v1alpha1.WebSocketCluster{}, v1alpha1.ReasonForeignObject, "x", strings.Repeat("ä", maxText))
	note := strings.TrimPrefix(<-recorder.Events, "Warning "+v1alpha1.ReasonForeignObject+" ")
	assert.LessOrEqual(t, len(note), maxText)
	assert.Regexp(t, "^ä+ [.]{3}$", note)
}
