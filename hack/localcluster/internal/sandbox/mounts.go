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

// Bind is a bind mount of a cluster's directory at a path that is built into components.
type Bind struct{ Source, Target string }

// ParseBind parses SOURCE=TARGET. It returns an error when a part is missing.
func ParseBind(s string) (Bind, error) {
	source, target, ok := strings.Cut(s, "=")
	if !ok || source == "" || target == "" {
		return Bind{}, fmt.Errorf("bind %q: expected SOURCE=TARGET", s)
	}
	return Bind{source, target}, nil
}

func (b Bind) String() string { return b.Source + "=" + b.Target }

// HoldMounts keeps the cluster's mount namespace. It runs in a process that was started with a new one, makes the bind
// mounts for the components, writes to ready and closes it, and blocks until SIGINT or SIGTERM. Mounts of containerd
// and kubelet stay in the namespace and disappear with the last process inside. It returns an error when a mount fails.
func HoldMounts(binds []Bind, ready io.WriteCloser) error {
	// Later mounts on the machine must not appear in the cluster, but those made inside must propagate to containers.
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
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	return nil
}
