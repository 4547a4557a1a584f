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

// Machine records the changes of clusters to the machine itself, so that the last cluster can undo them.
type Machine struct {
	// Path is the file of the record.
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

// Prepare records the kernel settings unless an earlier cluster has, and creates the directories. It returns an error
// when the record cannot be written or a directory cannot be created.
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
	// The record is written before the change, so that it is complete after an interruption.
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

// Restore undoes the recorded changes. The caller has removed the last cluster. It returns an error when a setting
// cannot be written.
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
	// The longest paths come first, so that a directory is removed before its parent. A directory that is not empty
	// stays.
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
