package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/lock"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

// Builder builds binaries from the modules in Source into BinDir.
type Builder struct {
	Source, BinDir string
	Report         *progress.Reporter
}

// Ensure builds the wanted binaries that do not exist or were built from other sources. It returns an error with the
// compiler's output when a build fails, and when Go and a binary are missing.
func (b *Builder) Ensure(ctx context.Context, wanted []Binary) error {
	if _, err := exec.LookPath("go"); err != nil {
		return b.withoutGo(wanted)
	}
	release, err := lock.Acquire(ctx, filepath.Join(b.BinDir, ".stamps", "lock"))
	if err != nil {
		return err
	}
	defer release()

	versions := map[string]string{}
	for i, one := range wanted {
		version, known := versions[one.group.dir]
		if !known {
			if version, err = b.goVersion(ctx, one.group); err != nil {
				return err
			}
			versions[one.group.dir] = version
		}
		stamp, err := one.stamp(b.Source, version)
		if err != nil {
			return err
		}
		if one.upToDate(b.BinDir, stamp) {
			continue
		}
		b.Report.Say("building %s (%d of %d)", one.Name, i+1, len(wanted))
		if err := b.Report.Step("built "+one.Name, func() error { return b.build(ctx, one, stamp) }); err != nil {
			return err
		}
	}
	return nil
}

// withoutGo accepts the binaries that exist, because root's PATH often lacks Go even though the user has built the
// binaries before. It returns an error when one is missing.
func (b *Builder) withoutGo(wanted []Binary) error {
	for _, one := range wanted {
		if _, err := os.Stat(filepath.Join(b.BinDir, one.Name)); err != nil {
			return fmt.Errorf(
				"%s is not built, and there is no go in PATH to build it with; install Go from https://go.dev/dl, "+
					"or build as the user who has it: localcluster binaries",
				one.Name)
		}
	}
	return nil
}

func (b *Builder) build(ctx context.Context, one Binary, stamp string) error {
	target := filepath.Join(b.BinDir, one.Name)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	args, err := one.arguments(b.Source)
	if err != nil {
		return err
	}
	// The new file is renamed over the old one, because the old one may be running.
	half := target + ".new"
	args = append(append([]string{"build", "-o", half}, args...), one.pkg)
	if _, err := b.goCommand(ctx, one.group, args...); err != nil {
		return errors.Join(fmt.Errorf("build %s%s: %w", one.Name, one.group.remedy(), err), removeIfThere(half))
	}
	if err := os.Rename(half, target); err != nil {
		return err
	}
	return os.WriteFile(one.stampFile(b.BinDir), []byte(stamp), 0o644)
}

// remedy returns the most likely reason why a group cannot be built.
func (g group) remedy() string {
	if g.cgo {
		return " (it needs a C compiler, pkg-config and libseccomp: run hack/install-deps.sh cluster)"
	}
	return ""
}

// goVersion returns the version of the toolchain that the group's go.mod selects.
func (b *Builder) goVersion(ctx context.Context, g group) (string, error) {
	out, err := b.goCommand(ctx, g, "env", "GOVERSION")
	if err != nil {
		return "", fmt.Errorf("ask for the version of go: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// goCommand runs go in the group's module. The error contains its output, such as the compiler's messages.
func (b *Builder) goCommand(ctx context.Context, g group, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(b.Source, g.dir)
	cmd.Env = append(os.Environ(), g.environment()...)
	cmd.WaitDelay = 10 * time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
