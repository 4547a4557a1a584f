// Package sandbox isolates a cluster from its machine with a network namespace, a mount namespace and cgroups.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const netnsDir = "/run/netns"

// NetnsPath is where the network namespace of that name can be entered, as
// with `nsenter --net=PATH` or `ip netns exec NAME`.
func NetnsPath(name string) string { return filepath.Join(netnsDir, name) }

// HasNetns reports whether the namespace exists. After a crash of the machine an empty file may be left in its place.
func HasNetns(name string) bool {
	var at unix.Statfs_t
	return unix.Statfs(NetnsPath(name), &at) == nil && at.Type == unix.NSFS_MAGIC
}

// NetnsNames returns the network namespaces whose names begin with a prefix, and what is left of them.
func NetnsNames(prefix string) []string {
	entries, _ := os.ReadDir(netnsDir) // none there: no namespace
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// CreateNetns creates the namespace and calls setUp inside it. It returns an error when the kernel refuses or setUp
// fails.
func CreateNetns(name string, setUp func() error) error {
	if err := DeleteNetns(name); err != nil {
		return err
	}
	return onOwnThread(func() error {
		handle, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("create network namespace %s: %w", name, err)
		}
		defer func() { _ = handle.Close() }()
		return setUp()
	})
}

// DeleteNetns removes the namespace. Links and rules in it disappear with the last process inside. It returns an error
// when it cannot be unmounted or removed.
func DeleteNetns(name string) error {
	path := NetnsPath(name)
	for HasNetns(name) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace: %w", err)
	}
	// The directory is removed only when it is empty.
	_ = os.Remove(netnsDir)
	return nil
}

// Within runs f in the network namespace, and in the mount namespace of the process mountsOf unless that is 0.
// Processes that f starts run there too. It returns the error of f, and an error when a namespace cannot be entered.
func Within(name string, mountsOf int, f func() error) error {
	return onOwnThread(func() error {
		if err := enter(NetnsPath(name), unix.CLONE_NEWNET); err != nil {
			return err
		}
		if mountsOf != 0 {
			// A thread that shares its root and working directory with others
			// may not change its mounts.
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare file system attributes: %w", err)
			}
			if err := enter(fmt.Sprintf("/proc/%d/ns/mnt", mountsOf), unix.CLONE_NEWNS); err != nil {
				return err
			}
		}
		return f()
	})
}

// Dial connects to an address inside the network namespace. It returns an error for a name instead of an IP address,
// and when it cannot connect.
func Dial(ctx context.Context, name, address string) (net.Conn, error) {
	if host, _, err := net.SplitHostPort(address); err != nil || net.ParseIP(host) == nil {
		// A name lookup may run on another thread, which is outside the namespace.
		return nil, fmt.Errorf("address %q: expected IP:PORT", address)
	}
	var conn net.Conn
	err := Within(name, 0, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

func enter(path string, kind int) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Setns(int(f.Fd()), kind); err != nil {
		return fmt.Errorf("enter namespace %s: %w", path, err)
	}
	return nil
}

// onOwnThread runs f on a thread that ends with it, because a namespace is
// entered by a thread and not left again.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}
