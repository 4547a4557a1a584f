package process

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	for name, c := range map[string]struct {
		line string
		want stat
	}{
		"plain name":                {"17 (etcd) S" + rest, stat{start: 4711}},
		"spaces and parentheses":    {"17 (a) S 1 (b c) S" + rest, stat{start: 4711}},
		"a name that looks ended":   {"17 (x) Z 1) S" + rest, stat{start: 4711}},
		"ended":                     {"17 (etcd) Z" + rest, stat{4711, true}},
		"ended and being forgotten": {"17 (etcd) X" + rest, stat{4711, true}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(c.line))
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, expected %+v", got, err, c.want)
			}
		})
	}
}

func TestParseStatRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"nothing":        "",
		"no name":        "17 etcd S 1",
		"too few fields": "17 (etcd) S 1 2 3",
		"no number":      "17 (etcd) S" + strings.Repeat(" x", 30),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat([]byte(line)); err == nil {
				t.Errorf("got %+v, expected an error", got)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("17 (a b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"))
	f.Add([]byte(")"))
	f.Fuzz(func(_ *testing.T, line []byte) { _, _ = parseStat(line) })
}

// sleeping is a process that does nothing for ten minutes, unless it is killed.
func sleeping(t *testing.T) (*exec.Cmd, Identity) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, id
}

func TestAliveIsFalseAfterEnd(t *testing.T) {
	cmd, id := sleeping(t)
	if err := id.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id.Alive() {
		t.Error("alive after its end, before its parent took notice")
	}
	if again, err := Identify(id.PID); err != nil || again != id {
		t.Errorf("identified as %+v, %v, expected %+v", again, err, id)
	}
	_ = cmd.Wait() // killed
}

func TestIdentifyOwnProcess(t *testing.T) {
	id, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !id.Alive() {
		t.Error("we are alive")
	}
}

func TestAliveIsFalseForReusedID(t *testing.T) {
	id, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	earlier, otherBoot := id, id
	earlier.Start--
	otherBoot.Boot = "another"
	for name, id := range map[string]Identity{"earlier": earlier, "other boot": otherBoot, "none": {}} {
		if id.Alive() {
			t.Errorf("%s: alive", name)
		}
	}
}

func TestKill(t *testing.T) {
	cmd, id := sleeping(t)

	impostor := id
	impostor.Start++
	if err := impostor.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := id.KillIf(t.Context(), func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	if !id.Alive() {
		t.Fatal("a process that was not ours has been killed")
	}

	if err := id.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Errorf("ended with %v, expected by a signal", err)
	}
	if err := id.Kill(t.Context()); err != nil {
		t.Errorf("killing again: %v", err)
	}
}
