package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// tidyUp is how long a program that is told to end may take.
const tidyUp = 30 * time.Second

// gently prepares a program that is told to end when ctx does, rather than killed: localcluster, for
// one, would leave things half made.
func gently(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = tidyUp
	return cmd
}

// run executes a program and returns its standard output; the error shows what it printed.
func run(ctx context.Context, name string, args ...string) (string, error) {
	return runEnv(ctx, nil, name, args...)
}

func runEnv(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := gently(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, all bytes.Buffer
	cmd.Stdout = &tee{&out, &all}
	cmd.Stderr = &all
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, strings.TrimSpace(all.String()))
	}
	return out.String(), nil
}

// stream executes a program whose own progress lines are worth showing.
func stream(ctx context.Context, name string, args ...string) error {
	cmd := gently(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

type tee struct{ a, b *bytes.Buffer }

func (t *tee) Write(p []byte) (int, error) {
	t.a.Write(p)
	return t.b.Write(p)
}
