package metricsapi

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

func TestDetectorAsksOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		var served string
		detector := NewDetector(func(_ context.Context, groupVersion string) error {
			asked = append(asked, groupVersion)
			if groupVersion == served {
				return nil
			}
			return errNotServed
		})
		assert.False(t, detector.Served(t.Context()))
		assert.Equal(t, []string{"custom.metrics.k8s.io/v1beta2", "custom.metrics.k8s.io/v1beta1"}, asked)

		served = "custom.metrics.k8s.io/v1beta1"
		assert.False(t, detector.Served(t.Context()), "the answer counts for a while")
		assert.Len(t, asked, 2)

		time.Sleep(RecheckInterval)
		assert.True(t, detector.Served(t.Context()))
		served = ""
		assert.True(t, detector.Served(t.Context()))
		time.Sleep(RecheckInterval)
		assert.False(t, detector.Served(t.Context()))
	})
}

// A request that fails says nothing about the API: the API server may be busy, or the adapter slow.
func TestDetectorKeepsItsAnswerOnErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timeout := errors.New("context deadline exceeded")
		var answer error
		detector := NewDetector(func(context.Context, string) error { return answer })
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
			assert.Equal(t, c.want, detector.Served(t.Context()), "%v", answer)
			time.Sleep(RecheckInterval)
		}
	})
}

// Before the first answer there is nothing to go by, so the next call asks again without waiting for a minute.
func TestDetectorAsksAgainUntilTheFirstAnswer(t *testing.T) {
	answer := errors.New("context deadline exceeded")
	detector := NewDetector(func(context.Context, string) error { return answer })
	assert.False(t, detector.Served(t.Context()))
	answer = nil
	assert.True(t, detector.Served(t.Context()))
}

func TestDetectorDoesNotBlockOtherCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking := make(chan struct{})
		slow := true
		detector := NewDetector(func(context.Context, string) error {
			if slow {
				slow = false
				<-asking
			}
			return nil
		})
		go detector.Served(t.Context())
		synctest.Wait()
		assert.True(t, detector.Served(t.Context()))
		close(asking)
	})
}
