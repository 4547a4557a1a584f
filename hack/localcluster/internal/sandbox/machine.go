package sandbox

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Machine remembers what the clusters change on the machine itself, so that
// the last one of them can put it back.
type Machine struct {
	// Path is the file the memory is kept in.
	Path string
	// Sysctls is where kernel settings are read and written: /proc/sys.
	Sysctls string
}

// changed is what the machine was like before.
type changed struct {
	// Dirs were made to have something to bind on.
	Dirs []string `json:"dirs"`
	// Settings are kernel settings by path, as they were.
	Settings map[string]string `json:"settings"`
}

// tuned are the kernel settings that kubelet changes as it starts.
func tuned() []string {
	return []string{
		"kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys",
		"kernel/panic", "kernel/panic_on_oops",
		"vm/overcommit_memory", "vm/panic_on_oom",
	}
}

// Prepare remembers the settings, unless an earlier cluster has, and makes the
// directories.
func (m Machine) Prepare(dirs []string) error {
	before, err := m.load()
	if err != nil {
		return err
	}
	for _, name := range tuned() {
		if _, known := before.Settings[name]; known {
			continue
		}
		if value, err := os.ReadFile(filepath.Join(m.Sysctls, name)); err == nil {
			before.Settings[name] = strings.TrimSpace(string(value))
		}
	}
	var missing []string
	for _, dir := range dirs {
		for ; !exists(dir); dir = filepath.Dir(dir) {
			missing = append(missing, dir)
		}
	}
	for _, dir := range missing {
		if !slices.Contains(before.Dirs, dir) {
			before.Dirs = append(before.Dirs, dir)
		}
	}
	// Remembered before it is done: a stop in between must not lose it.
	if err := m.store(before); err != nil {
		return err
	}
	for _, dir := range missing {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Restore puts the machine back. Call it when the last cluster is gone.
func (m Machine) Restore() error {
	before, err := m.load()
	if err != nil {
		return err
	}
	var failed error
	for name, value := range before.Settings {
		path := filepath.Join(m.Sysctls, name)
		if now, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(now)) == value {
			continue
		}
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	// The longest first, so that a directory comes before the one it is in. One
	// that somebody put something into meanwhile stays.
	slices.SortFunc(before.Dirs, func(a, b string) int { return len(b) - len(a) })
	for _, dir := range before.Dirs {
		_ = os.Remove(dir)
	}
	if failed != nil {
		return failed
	}
	if err := os.Remove(m.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (m Machine) load() (changed, error) {
	before := changed{Settings: map[string]string{}}
	data, err := os.ReadFile(m.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return before, nil
	}
	if err != nil {
		return before, err
	}
	err = json.Unmarshal(data, &before)
	return before, err
}

func (m Machine) store(before changed) error {
	data, err := json.MarshalIndent(before, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.Path), 0o755); err != nil {
		return err
	}
	half := m.Path + ".new"
	if err := os.WriteFile(half, data, 0o600); err != nil {
		return err
	}
	return os.Rename(half, m.Path)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
