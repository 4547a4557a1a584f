package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeKubectl puts a kubectl into PATH that has a CRD, and returns a function that returns the calls to it.
func fakeKubectl(t *testing.T, crd string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("KUBECONFIG", "")
	t.Setenv("OPERATOR_IMAGE", "operator")
	t.Setenv("GATEWAY_IMAGE", "gateway")
	script := "#!/bin/sh\necho \"$*\" >> " + dir + "/calls\nif [ \"$1\" = get ]; then printf '%s' '" + crd + "'; fi\n"
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return func() string {
		said, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		return string(said)
	}
}

func TestCurrentDownKeepsForeignInstallation(t *testing.T) {
	const name = "websocketclusters.wsfleet.dev "
	for _, c := range []struct {
		what, crd         string
		goesUp, isRemoved bool
	}{
		{"nothing installed", "", true, false},
		{"installed by the user", name, false, false},
		{"another stage", name + "production", false, false},
		{"installed by a stage", name + "demo", true, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			calls := fakeKubectl(t, c.crd)
			if err := new(current).up(t.Context()); (err == nil) != c.goesUp {
				t.Errorf("up: %v", err)
			}
			if err := new(current).down(t.Context()); err != nil {
				t.Errorf("down: %v", err)
			}
			if removed := strings.Contains(calls(), "delete"); removed != c.isRemoved {
				t.Errorf("removed: %t, calls:\n%s", removed, calls())
			}
		})
	}
}

func TestNewProviderRefusesWhatItCannotSet(t *testing.T) {
	for flag, o := range map[string]options{"--proxy-mode": {proxyMode: "nftables"}, "--nodes": {nodes: 2}} {
		for _, o.cluster = range []string{"kind", "current"} {
			_, err := newProvider(o)
			if err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), "hack/kind.yaml") {
				t.Errorf("%s: got %v, expected the flag and the remedy", o.cluster, err)
			}
		}
		o.cluster = "local"
		if _, err := newProvider(o); err != nil {
			t.Error(err)
		}
	}
}
