// Package lock provides file locks that keep two commands from changing the same cluster at the same time.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// pollInterval is the time between two attempts to take a lock that another process holds.
const pollInterval = 100 * time.Millisecond

// Acquire waits until the lock at path is free. release removes the file, so that nothing is left behind. Acquire
// returns an error when the context ends before or the file cannot be created.
func Acquire(ctx context.Context, path string) (release func(), err error) {
	for {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := await(ctx, f); err != nil {
			return nil, errors.Join(fmt.Errorf("another command holds %s: %w", path, err), f.Close())
		}
		// The previous owner may have removed the file meanwhile.
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
			return func() { _ = os.Remove(path); _ = f.Close() }, nil
		}
		_ = f.Close()
	}
}

func await(ctx context.Context, f *os.File) error {
	again := time.NewTicker(pollInterval)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}
