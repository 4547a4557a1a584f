package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func startAndWait(t *testing.T, spec Spec) string {
	t.Helper()
	running, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	<-running.Ended
	data, err := os.ReadFile(spec.Log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestStartInheritsNothingButWhatIsGiven(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.invalid")
	got := startAndWait(t, Spec{
		Name: "env", Argv: []string{"/usr/bin/env"}, Env: []string{"A=b"},
		Log: filepath.Join(t.TempDir(), "log"),
	})
	if got != "A=b" {
		t.Errorf("environment %q, expected A=b alone", got)
	}
}

func TestStartLeadsASessionOfItsOwn(t *testing.T) {
	got := startAndWait(t, Spec{
		Name: "sh", Argv: []string{"/bin/sh", "-c", "read -r s < /proc/$$/stat; set -- ${s##*) }; echo $(( $4 == $$ ))"},
		Log: filepath.Join(t.TempDir(), "log"),
	})
	if got != "1" {
		t.Errorf("got %q, expected the session's id to be the process's", got)
	}
}

func TestStartKeepsThePreviousLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for _, say := range []string{"first", "second"} {
		if got := startAndWait(t, Spec{Name: "echo", Argv: []string{"/bin/echo", say}, Log: log}); got != say {
			t.Errorf("log holds %q, expected %q", got, say)
		}
	}
	if old, err := os.ReadFile(log + ".old"); err != nil || string(old) != "first\n" {
		t.Errorf("previous log holds %q, %v", old, err)
	}
}

// The limit belongs to the whole process, so it is lowered in one of its own:
// a shell that runs this test again.
func TestRaiseFileLimitReachesStartedProcesses(t *testing.T) {
	if os.Getenv("IN_LOWERED_SHELL") == "" {
		shell := exec.Command("/bin/sh", "-c", `ulimit -S -n 256; exec "$0" -test.run "^$1\$"`, os.Args[0], t.Name())
		shell.Env = append(os.Environ(), "IN_LOWERED_SHELL=1")
		if out, err := shell.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := RaiseFileLimit(); err != nil {
		t.Fatal(err)
	}
	got := startAndWait(t, Spec{
		Name: "ulimit", Argv: []string{"/bin/sh", "-c", `test "$(ulimit -S -n)" = "$(ulimit -H -n)" && ulimit -S -n`},
		Log: filepath.Join(t.TempDir(), "log"),
	})
	if got == "" || got == "256" {
		t.Errorf("soft limit %q, expected the hard one", got)
	}
}

func TestStartNamesWhatCannotBeStarted(t *testing.T) {
	_, err := Start(Spec{Name: "etcd", Argv: []string{"/nonexistent/etcd"}, Log: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "start etcd") {
		t.Errorf("got %v, expected etcd to be named", err)
	}
}

func TestRecords(t *testing.T) {
	records := Records{Dir: filepath.Join(t.TempDir(), "processes")}
	want := Identity{PID: 17, Start: 4711, Boot: "b"}
	for _, name := range []string{"kubelet", "etcd"} {
		if err := records.Write(name, want); err != nil {
			t.Fatal(err)
		}
	}
	if got := records.Read("etcd"); got != want {
		t.Errorf("read %+v, expected %+v", got, want)
	}
	if got := strings.Join(records.Names(), " "); got != "etcd kubelet" {
		t.Errorf("names %q", got)
	}
	if err := records.Forget("etcd"); err != nil {
		t.Fatal(err)
	}
	if err := records.Forget("etcd"); err != nil {
		t.Errorf("forgetting twice: %v", err)
	}
	if err := os.WriteFile(filepath.Join(records.Dir, "broken.json"), []byte(`{"pid":`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "broken"} {
		if records.Read(name).Alive() {
			t.Errorf("%s is alive", name)
		}
	}
}
