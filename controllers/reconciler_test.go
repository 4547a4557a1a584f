package controllers

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A cluster that has changed since it was read, as by the operator's own write that the cache does not have yet, is no
// error for the log.
func TestRetryConflictReturnsOnlyErrorsThatARepetitionDoesNotCure(t *testing.T) {
	clusters := schema.GroupResource{Group: "wsfleet.dev", Resource: "websocketclusters"}
	for name, c := range map[string]struct {
		err   error
		after time.Duration
	}{
		"conflict": {apierrors.NewConflict(clusters, "demo", errors.New("modified")), time.Second},
		"gone":     {apierrors.NewNotFound(clusters, "demo"), time.Second},
		"not new":  {errNotNew, time.Millisecond},
		"refused":  {apierrors.NewForbidden(clusters, "demo", errors.New("quota")), 0},
		"another":  {errors.New("no route to host"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("remove the finalizer: %w", c.err)
			result, returned := retryConflict(t.Context(), err)
			assert.Equal(t, c.after, result.RequeueAfter)
			if c.after == 0 {
				assert.Equal(t, err, returned)
			} else {
				assert.NoError(t, returned)
			}
		})
	}
}
