package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMachineRestore(t *testing.T) {
	root := t.TempDir()
	m := Machine{Path: filepath.Join(root, "memory", "before.json"), Sysctls: filepath.Join(root, "sys")}
	setting := filepath.Join(m.Sysctls, "vm", "overcommit_memory")
	set := func(value string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(setting), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(setting, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there, made, used := filepath.Join(root, "there"), filepath.Join(root, "deep", "made"), filepath.Join(root, "used")
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	dirs := []string{there, made, used}

	set("0")
	if err := m.Prepare(dirs); err != nil {
		t.Fatal(err)
	}
	set("1") // as kubelet does
	if err := m.Prepare(dirs); err != nil {
		t.Fatal(err) // a second cluster must not take that for what was before
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(used, "theirs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	if err := m.Restore(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(setting); err != nil || string(got) != "0" {
		t.Errorf("setting is %q, %v, expected 0", got, err)
	}
	for path, want := range map[string]bool{there: true, used: true, filepath.Dir(made): false, m.Path: false} {
		if exists(path) != want {
			t.Errorf("%s is there: %t, expected %t", path, !want, want)
		}
	}
	if err := m.Restore(); err != nil {
		t.Errorf("restoring again: %v", err)
	}
}

func TestParseBind(t *testing.T) {
	want := Bind{Source: "/a", Target: "/b"}
	if got, err := ParseBind(want.String()); err != nil || got != want {
		t.Errorf("got %v, %v, expected %v", got, err, want)
	}
	for _, s := range []string{"", "/a", "=/b", "/a="} {
		if _, err := ParseBind(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestDialRefusesNames(t *testing.T) {
	if _, err := Dial(t.Context(), "none", "localhost:80"); err == nil {
		t.Error("a name was accepted: resolving it may leave the namespace")
	}
}
