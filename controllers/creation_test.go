package controllers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLastCreationFailure(t *testing.T) {
	at := func(second int, reason, message string) corev1.Event {
		return corev1.Event{
			Reason:        reason,
			Message:       message,
			LastTimestamp: metav1.NewTime(time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)),
		}
	}
	assert.Empty(t, lastCreationFailure(nil))
	assert.Empty(t, lastCreationFailure([]corev1.Event{at(1, "FailedScheduling", "no node")}))
	assert.Equal(t, "later", lastCreationFailure([]corev1.Event{
		at(1, "FailedMount", "first"),
		at(3, "FailedCreatePodSandBox", "later"),
		at(2, "FailedMount", "between"),
		at(4, "Unhealthy", "of a container that runs"),
	}))
}
