package controllers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestMetricsAPIIsAskedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		var served string
		api := &metricsAPI{ask: func(_ context.Context, groupVersion string) error {
			asked = append(asked, groupVersion)
			if groupVersion == served {
				return nil
			}
			return errors.New("the server could not find the requested resource")
		}}
		assert.False(t, api.isServed(t.Context()))
		assert.Equal(t, []string{"custom.metrics.k8s.io/v1beta2", "custom.metrics.k8s.io/v1beta1"}, asked)

		served = "custom.metrics.k8s.io/v1beta1"
		assert.False(t, api.isServed(t.Context()), "the answer counts for a while")
		assert.Len(t, asked, 2)

		time.Sleep(metricsRecheck)
		assert.True(t, api.isServed(t.Context()))
		served = ""
		assert.True(t, api.isServed(t.Context()))
		time.Sleep(metricsRecheck)
		assert.False(t, api.isServed(t.Context()))
	})
}
