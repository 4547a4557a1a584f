package main

import (
	"os"
	"strings"
	"testing"

	"github.com/wsfleet/wsfleet/test/kubectl"
)

func TestAwaitForwardReportsWhyItEnded(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("dist", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("kubectl", []byte("#!/bin/sh\necho 'no such service' >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := startForward(t.Context(), "test", kubectl.Kubectl{Path: "./kubectl"}, "127.0.0.1:0", "demo", "gateway")
	if err == nil || !strings.Contains(err.Error(), "no such service") {
		t.Errorf("got %v, expected what kubectl said", err)
	}
	left, err := os.ReadDir("dist")
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
