package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// Spec says what to start.
type Spec struct {
	// Name is the name of the process in logs and messages.
	Name string
	// Argv is the executable's path and its arguments.
	Argv []string
	// Env is the whole environment. Nothing is inherited, so that a proxy in the user's shell does not end up between two
	// components.
	Env []string
	// Log is the file for the process's output. The previous one is kept beside it.
	Log string
	// Files are handed down as descriptors 3 and up.
	Files []*os.File
	// Within runs the given function in the namespaces that the process is to
	// live in. Nil means those of the caller.
	Within func(func() error) error
	// NewMounts gives the process a mount namespace of its own.
	NewMounts bool
}

// Running is a process that this command has started.
type Running struct {
	Identity
	// Ended is closed when the process ends; Err then says how.
	Ended chan struct{}
	Err   error
}

// Start starts a process in a session of its own, so that neither the end of this command nor Ctrl-C in its terminal
// ends it. It returns an error when the log cannot be opened or the process cannot be started.
func Start(spec Spec) (*Running, error) {
	log, err := openLog(spec.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()

	cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...) //nolint:noctx // it outlives this command
	cmd.Env = spec.Env
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = spec.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if spec.NewMounts {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	within := spec.Within
	if within == nil {
		within = func(f func() error) error { return f() }
	}
	if err := within(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}

	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		return nil, fmt.Errorf("identify %s: %w", spec.Name, errors.Join(err, cmd.Process.Kill(), cmd.Wait()))
	}
	running := &Running{Identity: id, Ended: make(chan struct{})}
	go func() {
		running.Err = cmd.Wait()
		close(running.Ended)
	}()
	return running, nil
}

func openLog(path string) (*os.File, error) {
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}
