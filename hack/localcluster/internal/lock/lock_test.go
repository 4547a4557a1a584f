package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

func TestAcquireExcludesOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "lock")
	var inside, highest atomic.Int32
	done := make(chan error)
	for range 5 {
		go func() {
			release, err := Acquire(t.Context(), path)
			if err == nil {
				if n := inside.Add(1); n > highest.Load() {
					highest.Store(n)
				}
				inside.Add(-1)
				release()
			}
			done <- err
		}()
	}
	for range 5 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if highest.Load() != 1 {
		t.Errorf("%d at once", highest.Load())
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left behind: %v", err)
	}
}

func TestAcquireEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := Acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Acquire(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, expected the context's error", err)
	}
}
