package kubectl

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestServingPods(t *testing.T) {
	const pods = `{"items": [
		{"metadata": {"name": "serves"}, "status": {"conditions": [
			{"type": "Initialized", "status": "True"},
			{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
		]}},
		{"metadata": {"name": "starts"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}},
		{"metadata": {"name": "waits"}, "status": {}},
		{"metadata": {"name": "goes", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"conditions": [
			{"type": "Ready", "status": "True"}
		]}}
	]}`
	path := filepath.Join(t.TempDir(), "kubectl")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncat <<'END'\n"+pods+"\nEND\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := Kubectl{Path: path}.ServingPods(t.Context(), "a=b")
	if err != nil || !slices.Equal(got, []string{"serves"}) {
		t.Errorf("got %v, %v", got, err)
	}
}
