package ratelog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/ratelog"
)

func TestLimiterWarnsOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		limiter := ratelog.New(slog.New(slog.NewTextHandler(&log, nil)))
		for range 3 {
			limiter.Warn("first", slog.Int("number", 1))
		}
		limiter.WarnError("second", errors.New("down"))
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), `level=WARN msg=first number=1`)

		time.Sleep(ratelog.Interval)
		limiter.WarnError("third", errors.New("down"))
		require.Equal(t, 2, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), `level=WARN msg=third error=down`)
	})
}

func TestLimiterIgnoresNoErrorAndCancellation(t *testing.T) {
	var log strings.Builder
	limiter := ratelog.New(slog.New(slog.NewTextHandler(&log, nil)))
	limiter.WarnError("nothing failed", nil)
	limiter.WarnError("given up", fmt.Errorf("read: %w", context.Canceled))
	require.Empty(t, log.String())
	limiter.WarnError("too slow", context.DeadlineExceeded)
	require.Contains(t, log.String(), "too slow", "what was ignored does not count against the interval")
}
