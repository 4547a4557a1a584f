package hub_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

func TestHubLogLinesNameTheChannel(t *testing.T) {
	panics := func(context.Context, string) error { panic("a bug") }
	for line, happens := range map[string]func(h *harness){
		"publication not encoded": func(h *harness) {
			h.encoder.fails = func(broker.Publication) bool { return true }
			h.publishNumbers(11, 11)
		},
		"read of a channel's stream panicked": func(h *harness) {
			h.onRead(panics, nil)
			_, err := h.tryAttachPositioned(nil)
			require.Error(h.t, err)
		},
		"repair of a channel's stream panicked": func(h *harness) {
			h.onRead(panics, nil)
			h.Resumed("log")
		},
		"channel's stream could not be read": func(h *harness) {
			h.onRead(failReads(5), nil)
			h.Resumed("log")
		},
		"history of a stream that was rolled back could not be removed": func(h *harness) {
			h.onRead(failReads(5), nil)
			h.rollBack("log", 5)
			h.publishNumbers(6, 6)
		},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				h := newHarness(t, hub.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
				h.publishNumbers(1, 9)
				h.attachPositioned(nil)
				h.publishNumbers(10, 10)
				happens(h)
				time.Sleep(40 * time.Second)
				synctest.Wait()
				require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
				require.Contains(t, log.String(), line)
				require.Contains(t, log.String(), "channel=log ")
			})
		})
	}
}
