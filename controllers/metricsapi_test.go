package controllers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var errNotServed = apierrors.NewNotFound(schema.GroupResource{}, "")

func TestMetricsAPIIsAskedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		var served string
		api := &metricsAPI{ask: func(_ context.Context, groupVersion string) error {
			asked = append(asked, groupVersion)
			if groupVersion == served {
				return nil
			}
			return errNotServed
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

// An answer that never came is none: the API server may be busy, or the adapter slow.
func TestMetricsAPIKeepsItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timeout := errors.New("context deadline exceeded")
		var answer error
		api := &metricsAPI{ask: func(context.Context, string) error { return answer }}
		for _, c := range []struct {
			answer error
			want   bool
		}{
			{timeout, false},
			{nil, true},
			{timeout, true},
			{apierrors.NewServiceUnavailable("the adapter is down"), false},
			{timeout, false},
			{nil, true},
			{errNotServed, false},
		} {
			answer = c.answer
			assert.Equal(t, c.want, api.isServed(t.Context()), "%v", answer)
			time.Sleep(metricsRecheck)
		}
	})
}

// Before the first answer there is nothing to go by, so that the next one does not wait for a minute.
func TestMetricsAPIAsksAgainUntilItKnows(t *testing.T) {
	answer := errors.New("context deadline exceeded")
	api := &metricsAPI{ask: func(context.Context, string) error { return answer }}
	assert.False(t, api.isServed(t.Context()))
	answer = nil
	assert.True(t, api.isServed(t.Context()))
}

func TestMetricsAPIMakesNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking := make(chan struct{})
		slow := true
		api := &metricsAPI{ask: func(context.Context, string) error {
			if slow {
				slow = false
				<-asking
			}
			return nil
		}}
		go api.isServed(t.Context())
		synctest.Wait()
		assert.True(t, api.isServed(t.Context()))
		close(asking)
	})
}
