package progress

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStep(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	r := newAt(&out, func() time.Time { return now })
	now = now.Add(time.Second)
	if err := r.Step("etcd", func() error { now = now.Add(1500 * time.Millisecond); return nil }); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Fields(out.String()), "[ 2.5s] etcd 1.5s"; strings.Join(got, " ") != want {
		t.Errorf("got %q, expected %q", got, want)
	}
}

func TestStepPrintsNothingOnFailure(t *testing.T) {
	var out strings.Builder
	failed := errors.New("failed")
	if err := New(&out).Step("etcd", func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if out.Len() > 0 {
		t.Errorf("said %q", out.String())
	}
}
