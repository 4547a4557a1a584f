package sandbox

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bind shows a directory of the cluster's own at a path that components have
// built in.
type Bind struct{ Source, Target string }

// ParseBind reads SOURCE=TARGET.
func ParseBind(s string) (Bind, error) {
	source, target, ok := strings.Cut(s, "=")
	if !ok || source == "" || target == "" {
		return Bind{}, fmt.Errorf("bind %q: expected SOURCE=TARGET", s)
	}
	return Bind{source, target}, nil
}

func (b Bind) String() string { return b.Source + "=" + b.Target }

// HoldMounts keeps the cluster's mount namespace: it is called in a process
// started with one of its own, binds what the components shall find there,
// reports on ready, and waits for its end. What containerd and kubelet mount
// stays in there and goes with the last process inside.
func HoldMounts(binds []Bind, ready io.WriteCloser) error {
	// Mounts made on the machine are no concern of the cluster's, but those
	// made inside must reach the containers that ask for it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	for _, b := range binds {
		if err := unix.Mount(b.Source, b.Target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", b, err)
		}
	}
	if _, err := io.WriteString(ready, "ready"); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := ready.Close(); err != nil {
		return err
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
	return nil
}
