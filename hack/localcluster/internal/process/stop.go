package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Kill kills the process and blocks until it has ended. It does nothing when the process has ended already, also when
// another process has its id. It returns an error when the process cannot be killed or ctx ends before.
func (id Identity) Kill(ctx context.Context) error {
	return id.KillIf(ctx, func() bool { return true })
}

// KillIf is like Kill, but only if isOurs returns true. It calls isOurs while it holds a handle on the process, so that
// the answer cannot be about a later process with the same id. It returns the same errors as Kill.
func (id Identity) KillIf(ctx context.Context, isOurs func() bool) error {
	handle, err := unix.PidfdOpen(id.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", id.PID, err)
	}
	defer func() { _ = unix.Close(handle) }()
	if !id.Alive() || !isOurs() {
		return nil
	}
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", id.PID, err)
	}
	return awaitEnd(ctx, handle, id.PID)
}

// awaitEnd blocks until the kernel reports the end on the handle.
func awaitEnd(ctx context.Context, handle, pid int) error {
	for {
		wait := time.Second
		if deadline, ok := ctx.Deadline(); ok {
			wait = min(wait, time.Until(deadline))
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("process %d does not end: %w", pid, err)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, int(max(wait, 0).Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for process %d: %w", pid, err)
		}
		if n > 0 {
			return nil
		}
	}
}
