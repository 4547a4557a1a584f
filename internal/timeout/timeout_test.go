package timeout_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/internal/timeout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type key struct{}

// start is timeout.After, or something that returns its result.
type start func(parent context.Context, d time.Duration) (context.Context, context.CancelFunc)

// each runs a test twice: with a context whose Done is called at its beginning, and with one where it is not.
func each(t *testing.T, test func(t *testing.T, after start)) {
	t.Helper()
	t.Run("not waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, timeout.After) })
	})
	t.Run("waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
				c, cancel := timeout.After(parent, d)
				_ = c.Done()
				return c, cancel
			})
		})
	})
}

// requireOver fails unless c has ended with an error for good.
func requireOver(t *testing.T, want error, c interface {
	Err() error
	Done() <-chan struct{}
}) {
	t.Helper()
	require.Equal(t, want, c.Err())
	first := c.Done()
	<-first
	require.Equal(t, first, c.Done())
	require.Equal(t, want, c.Err(), "it stays the same")
}

func TestAfterEndsAtItsDeadline(t *testing.T) {
	each(t, func(t *testing.T, after start) {
		parent, cancelParent := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		defer cancelParent()
		c, cancel := after(parent, time.Minute)
		defer cancel()
		at, ok := c.Deadline()
		require.True(t, ok)
		require.Equal(t, time.Now().Add(time.Minute), at)
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		require.NoError(t, c.Err())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Equal(t, context.DeadlineExceeded, c.Err())
		cancelParent()
		requireOver(t, context.DeadlineExceeded, c)
		require.Equal(t, "value", c.Value(key{}))
	})
}

func TestAfterWakesThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cancel := timeout.After(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		<-c.Done()
		require.Equal(t, time.Minute, time.Since(begin))
	})
}

func TestAfterEndsWithItsParent(t *testing.T) {
	each(t, func(t *testing.T, after start) {
		parent, cancelParent := context.WithCancel(t.Context())
		c, cancel := after(parent, time.Minute)
		defer cancel()
		require.NoError(t, c.Err())
		cancelParent()
		requireOver(t, context.Canceled, c)
		time.Sleep(time.Hour)
		requireOver(t, context.Canceled, c)
	})
	each(t, func(t *testing.T, after start) {
		parent, cancelParent := context.WithTimeout(t.Context(), time.Second)
		defer cancelParent()
		c, cancel := after(parent, time.Minute)
		defer cancel()
		at, _ := c.Deadline()
		require.Equal(t, time.Now().Add(time.Second), at)
		time.Sleep(time.Second)
		synctest.Wait()
		requireOver(t, context.DeadlineExceeded, c)
	})
}

func TestAfterIsCanceled(t *testing.T) {
	each(t, func(t *testing.T, after start) {
		c, cancel := after(t.Context(), time.Minute)
		cancel()
		requireOver(t, context.Canceled, c)
		time.Sleep(time.Hour)
		cancel()
		requireOver(t, context.Canceled, c)
	})
}

// A context that is derived ends with it at once, and needs no goroutine that waits for that.
func TestAfterIsAParent(t *testing.T) {
	each(t, func(t *testing.T, after start) {
		c, cancel := after(t.Context(), time.Minute)
		derived, cancelDerived := context.WithCancel(c)
		defer cancelDerived()
		stopped := make(chan struct{})
		_ = context.AfterFunc(c, func() { close(stopped) })
		require.NoError(t, derived.Err())
		cancel()
		require.Equal(t, context.Canceled, derived.Err())
		<-stopped
		late, cancelLate := context.WithCancel(c)
		defer cancelLate()
		require.Equal(t, context.Canceled, late.Err())
		require.Equal(t, context.Canceled, context.Cause(late))
	})
}

func TestAfterIsSafeForManyGoroutines(t *testing.T) {
	for range 100 {
		c, cancel := timeout.After(t.Context(), time.Minute)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { <-c.Done() })
			all.Go(func() { _, _ = c.Err(), c.Value(key{}) })
		}
		all.Go(cancel)
		all.Wait()
		require.Equal(t, context.Canceled, c.Err())
	}
}

// Without Done there is neither a timer nor a channel: that is what the package is for.
func TestAfterAllocatesOnce(t *testing.T) {
	parent, cancelParent := context.WithCancel(t.Context())
	defer cancelParent()
	require.InDelta(t, 1, testing.AllocsPerRun(100, func() {
		c, cancel := timeout.After(parent, time.Minute)
		defer cancel()
		_ = c.Err()
	}), 0.1)
}
