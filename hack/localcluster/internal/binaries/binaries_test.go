package binaries

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

const modules = "../../binaries"

func one(t *testing.T, name string) Binary {
	t.Helper()
	picked, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return picked[0]
}

func TestNamed(t *testing.T) {
	if picked, err := Named(); err != nil || len(picked) != len(OfCluster()) {
		t.Errorf("no name picked %d, %v, expected the cluster's %d", len(picked), err, len(OfCluster()))
	}
	_, err := Named("etcd", "kubeapiserver")
	if err == nil || !strings.Contains(err.Error(),
		`"kubeapiserver"`) || !strings.Contains(err.Error(), "kube-apiserver") {
		t.Errorf("got %v, expected the name and those there are", err)
	}
}

// Every package is one that its group's go.mod names as a tool, so that the
// pinned versions are those that are built.
func TestPackagesArePinned(t *testing.T) {
	for _, b := range All() {
		if b.pkg == "." {
			continue
		}
		goMod, err := os.ReadFile(filepath.Join(modules, b.group.dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(strings.Fields(string(goMod)), b.pkg) {
			t.Errorf("%s: %s is no tool of %s/go.mod", b.Name, b.pkg, b.group.dir)
		}
	}
}

func TestArguments(t *testing.T) {
	got, err := one(t, "runc").arguments(modules)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", "seccomp,netgo,osusergo"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKubernetesIsStampedWithThePinnedVersion(t *testing.T) {
	for name, dir := range map[string]string{"kubelet": "kubernetes", "oldest/kube-apiserver": "kubernetes-oldest"} {
		version, err := requiredVersion(filepath.Join(modules, dir, "go.mod"), "k8s.io/kubernetes")
		if err != nil {
			t.Fatal(err)
		}
		args, err := one(t, name).arguments(modules)
		if err != nil {
			t.Fatal(err)
		}
		if flags := strings.Join(args, " "); !strings.Contains(flags, "version.gitVersion="+version) {
			t.Errorf("%s: %s does not mention %s", name, flags, version)
		}
	}
}

// A cluster has one Kubernetes: `up` builds no other.
func TestOfClusterHasNoOtherKubernetes(t *testing.T) {
	for _, b := range OfCluster() {
		if strings.HasPrefix(b.Name, "oldest/") {
			t.Errorf("%s is built for a cluster", b.Name)
		}
	}
}

func TestVersionFlags(t *testing.T) {
	got := strings.Join(versionFlags("v1.37.2"), " ")
	for _, want := range []string{".gitVersion=v1.37.2", ".gitMajor=1", ".gitMinor=37"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

func TestRequiredVersionNamesWhatIsMissing(t *testing.T) {
	if _, err := requiredVersion(filepath.Join(modules, "pause", "go.mod"), "k8s.io/kubernetes"); err == nil {
		t.Error("expected an error")
	}
}

// group of one small program, to build for real.
func smallGroup(t *testing.T) (source string, b Binary) {
	t.Helper()
	source = t.TempDir()
	write(t, filepath.Join(source, "small", "go.mod"), "module small\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "small", "main.go"), "package main\n\nfunc main() {}\n")
	return source, Binary{"deep/small", group{dir: "small"}, "."}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStampDependsOnAllThatDecides(t *testing.T) {
	source, b := smallGroup(t)
	stamp := func(b Binary, goVersion string) string {
		t.Helper()
		s, err := b.stamp(source, goVersion)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := stamp(b, "go1.26.0")
	if again := stamp(b, "go1.26.0"); again != before {
		t.Error("the same gave another stamp")
	}
	seen := map[string]string{before: "nothing"}
	differ := func(what, got string) {
		t.Helper()
		if other, known := seen[got]; known {
			t.Errorf("%s gave the same stamp as %s", what, other)
		}
		seen[got] = what
	}
	differ("another Go", stamp(b, "go1.26.1"))
	tagged := b
	tagged.group.tags = []string{"netgo"}
	differ("a tag", stamp(tagged, "go1.26.0"))
	withC := b
	withC.group.cgo = true
	differ("cgo", stamp(withC, "go1.26.0"))
	write(t, filepath.Join(source, "small", "go.sum"), "changed")
	differ("go.sum", stamp(b, "go1.26.0"))
	write(t, filepath.Join(source, "small", "main.go"), "package main\n\nfunc main() { println() }\n")
	differ("the source", stamp(b, "go1.26.0"))
}

func TestEnsureBuildsOnce(t *testing.T) {
	source, b := smallGroup(t)
	var said bytes.Buffer
	builder := &Builder{Source: source, BinDir: t.TempDir(), Report: progress.New(&said)}
	ensure := func() string {
		t.Helper()
		said.Reset()
		if err := builder.Ensure(t.Context(), []Binary{b}); err != nil {
			t.Fatal(err)
		}
		return said.String()
	}
	if got := ensure(); !strings.Contains(got, "built deep/small") {
		t.Errorf("first: %q", got)
	}
	if got := ensure(); got != "" {
		t.Errorf("second: %q, expected nothing to be done", got)
	}
	write(t, filepath.Join(source, "small", "main.go"), "package main\n\nfunc main() { println() }\n")
	if got := ensure(); !strings.Contains(got, "built deep/small") {
		t.Errorf("after a change: %q", got)
	}
	if err := os.Remove(filepath.Join(builder.BinDir, b.Name)); err != nil {
		t.Fatal(err)
	}
	if got := ensure(); !strings.Contains(got, "built deep/small") {
		t.Errorf("after it was removed: %q", got)
	}
}

func TestEnsureShowsWhatTheCompilerSays(t *testing.T) {
	source, b := smallGroup(t)
	write(t, filepath.Join(source, "small", "main.go"), "package main\n\nfunc main() { undefinedName() }\n")
	binDir := t.TempDir()
	builder := &Builder{Source: source, BinDir: binDir, Report: progress.New(&bytes.Buffer{})}
	err := builder.Ensure(t.Context(), []Binary{b})
	if err == nil || !strings.Contains(err.Error(), "undefinedName") {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(binDir, "deep", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestEnsureWithoutGoUsesBuiltBinaries(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	binDir := t.TempDir()
	builder := &Builder{Source: modules, BinDir: binDir, Report: progress.New(&bytes.Buffer{})}
	etcd := one(t, "etcd")
	if err := builder.Ensure(t.Context(), []Binary{etcd}); err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("got %v, expected to be told to install Go", err)
	}
	write(t, filepath.Join(binDir, "etcd"), "")
	if err := builder.Ensure(t.Context(), []Binary{etcd}); err != nil {
		t.Errorf("got %v, expected what is there to be used", err)
	}
}
