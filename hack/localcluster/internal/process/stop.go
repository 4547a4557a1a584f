package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Kill ends the process at once and waits until it is gone. A process that has
// ended already, or whose id belongs to another one by now, is left alone.
func (id Identity) Kill(ctx context.Context) error {
	return id.KillIf(ctx, func() bool { return true })
}

// KillIf is Kill for a process of which more must be true than its identity.
// The question is asked while a handle on the process is held, so the answer
// cannot be about a later process with the same id.
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

// awaitEnd returns when the kernel reports the end on the handle.
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
