package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The deletion of a namespace is no error of the operator's.
func TestLoggerTellsOfTerminatingNamespacesAsInformation(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "x", errors.New("being terminated"))
	refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	var out bytes.Buffer
	log, _, err := (&logSettings{level: "info", format: "text"}).newLogger(&out)
	require.NoError(t, err)
	log = log.WithName("events").WithValues("fleet", "demo")

	log.Error(fmt.Errorf("write: %w", refused), "Server rejected event (will not retry!)", "event", "a whole event")
	assert.Contains(t, out.String(), "level=INFO")
	assert.Contains(t, out.String(), "being terminated")
	assert.NotContains(t, out.String(), "a whole event")

	out.Reset()
	log.Error(errors.New("no route"), "Server rejected event (will not retry!)", "event", "a whole event")
	assert.Contains(t, out.String(), "level=ERROR")
	assert.Contains(t, out.String(), "a whole event")

	out.Reset()
	log, _, err = (&logSettings{level: "error", format: "json"}).newLogger(&out)
	require.NoError(t, err)
	log.Error(refused, "Server rejected event (will not retry!)")
	assert.Empty(t, out.String())
}
