package image

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func write(t *testing.T, path, text string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func testSpec(t *testing.T) Spec {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "conf", "deep", "a.conf"), "a", 0o600)
	return Spec{
		Name: "wsfleet/gateway:dev",
		Files: []File{
			{write(t, filepath.Join(dir, "gateway"), "#!", 0o700), "/usr/bin/gateway"},
			{filepath.Join(dir, "conf"), "/etc/conf"},
		},
		Entrypoint: []string{"/usr/bin/gateway", "serve"},
		User:       "65532:65532",
		Platform:   "linux/arm64",
	}
}

func built(t *testing.T, spec Spec) (v1.Image, map[string]*tar.Header, map[string]string) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := Build(spec, archive); err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	headers, texts := map[string]*tar.Header{}, map[string]string{}
	all := mutate.Extract(img)
	defer func() { _ = all.Close() }()
	for r := tar.NewReader(all); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return img, headers, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		name := "/" + strings.TrimSuffix(strings.TrimPrefix(header.Name, "/"), "/")
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		headers[name], texts[name] = header, string(data)
	}
}

func TestBuild(t *testing.T) {
	img, headers, texts := built(t, testSpec(t))

	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/usr/bin/gateway", "serve"}, config.Config.Entrypoint); diff != "" {
		t.Error(diff)
	}
	if got := config.OS + "/" + config.Architecture + " " + config.Config.User; got != "linux/arm64 65532:65532" {
		t.Errorf("configured for %s", got)
	}
	for path, mode := range map[string]int64{
		"/usr/bin":              0o755,
		"/usr/bin/gateway":      0o755,
		"/etc/conf/deep":        0o755,
		"/etc/conf/deep/a.conf": 0o644,
		"/etc/passwd":           0o644,
		"/tmp":                  0o1777,
	} {
		header := headers[path]
		switch {
		case header == nil:
			t.Errorf("%s is not in the image", path)
		case header.Mode != mode:
			t.Errorf("%s has mode %o, expected %o", path, header.Mode, mode)
		case header.Uid != 0 || header.Gid != 0 || header.Uname != "":
			t.Errorf("%s belongs to %d:%d %s, expected root", path, header.Uid, header.Gid, header.Uname)
		case !header.ModTime.Equal(time.Unix(0, 0)):
			t.Errorf("%s is of %s, expected no time of this machine", path, header.ModTime)
		}
	}
	for path, want := range map[string]string{
		"/etc/passwd":           "nonroot:x:65532:65532:",
		"/etc/group":            "nonroot:x:65532:",
		"/etc/conf/deep/a.conf": "a",
	} {
		if !strings.Contains(texts[path], want) {
			t.Errorf("%s holds %q, expected %q in it", path, texts[path], want)
		}
	}
	if slices.ContainsFunc(certificateBundles(), func(path string) bool { _, err := os.Stat(path); return err == nil }) &&
		!strings.Contains(texts[bundleInImage], "BEGIN CERTIFICATE") {
		t.Error("the machine's certificate authorities are not in the image")
	}
}

func TestBuildIsReproducible(t *testing.T) {
	spec := testSpec(t)
	var archives [2][]byte
	for i := range archives {
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := Build(spec, path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		archives[i] = data
		now := time.Now().Add(time.Hour)
		if err := os.Chtimes(spec.Files[0].Source, now, now); err != nil {
			t.Fatal(err)
		}
	}
	if string(archives[0]) != string(archives[1]) {
		t.Error("the archives differ")
	}
}

func TestBuildFollowsLinks(t *testing.T) {
	spec := testSpec(t)
	link := filepath.Join(t.TempDir(), "redis-server")
	if err := os.Symlink(spec.Files[0].Source, link); err != nil {
		t.Fatal(err)
	}
	spec.Files = []File{{link, "/redis-server"}}
	_, headers, texts := built(t, spec)
	if texts["/redis-server"] != "#!" || headers["/redis-server"].Typeflag != tar.TypeReg {
		t.Errorf("got %+v", headers["/redis-server"])
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"a name that is none": {func(s *Spec) { s.Name = "Not A Name" }, "--name"},
		"another system":      {func(s *Spec) { s.Platform = "windows/amd64" }, "--platform"},
		"no architecture":     {func(s *Spec) { s.Platform = "linux" }, "--platform"},
		"a file that is not":  {func(s *Spec) { s.Files[0].Source = "/nonexistent" }, "/nonexistent does not exist"},
		"a relative target":   {func(s *Spec) { s.Files[0].Target = "bin/x" }, "absolute path in the image"},
		"the root as target":  {func(s *Spec) { s.Files[0].Target = "/" }, "absolute path in the image"},
		"a device":            {func(s *Spec) { s.Files[0].Source = "/dev/null" }, "neither a file nor a directory"},
		"another's architecture": {func(s *Spec) { s.Files[0].Source = ownProgram(t); s.Platform = otherPlatform() },
			"other --platform"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := testSpec(t)
			c.change(&spec)
			archive := filepath.Join(t.TempDir(), "image.tar")
			err := Build(spec, archive)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, expected %q", err, c.want)
			}
			if left, _ := os.ReadDir(filepath.Dir(archive)); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func ownProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

func otherPlatform() string {
	self, err := elf.Open("/proc/self/exe")
	if err == nil && self.Machine == elf.EM_AARCH64 {
		return "linux/amd64"
	}
	return "linux/arm64"
}

// A program of this machine's that is linked dynamically must find all it is
// linked against in the image.
func TestLibraries(t *testing.T) {
	program, err := filepath.EvalSymlinks("/bin/ls")
	if err != nil {
		t.Fatalf("a Linux machine has /bin/ls: %v", err)
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	needed, err := f.ImportedLibraries()
	if err != nil || len(needed) == 0 {
		t.Fatalf("this test needs a program with shared libraries, and /bin/ls has none: %v", err)
	}
	architecture := ""
	for name, machine := range machines() {
		if machine == f.Machine {
			architecture = name
		}
	}
	spec := testSpec(t)
	spec.Platform, spec.Libraries = "linux/"+architecture, true
	spec.Files = []File{{"/bin/ls", "/ls"}}
	img, headers, _ := built(t, spec)
	if loader := interpreter(f); headers[loader] == nil {
		t.Errorf("the loader %s is not in the image", loader)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Join(config.Config.Env, "\n")
	for _, library := range needed {
		at := ""
		for path := range headers {
			if filepath.Base(path) == library {
				at = path
			}
		}
		if at == "" || !strings.Contains(env, filepath.Dir(at)) {
			t.Errorf("%s is at %q in the image, where the loader is not told to look: %s", library, at, env)
		}
	}
	if l := newLibraries(architecture); l.addNeeded(ownText(t)) != nil || len(l.found) > 0 {
		t.Error("a text file needs libraries")
	}
}

func ownText(t *testing.T) string { return write(t, filepath.Join(t.TempDir(), "text"), "x", 0o644) }

func TestLibrariesNameMissingOnes(t *testing.T) {
	_, err := newLibraries("amd64").find("libnowhere.so.1", nil)
	if err == nil || !strings.Contains(err.Error(), "libnowhere.so.1") {
		t.Errorf("got %v", err)
	}
}

func TestLoaderDirs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "conf.d", "b.conf"), "# comment\n/opt/b\n", 0o644)
	config := write(t, filepath.Join(dir, "ld.so.conf"), "include "+dir+"/conf.d/*.conf\n/opt/a # why\n\nhwcap 0 x\n",
		0o644)
	if diff := cmp.Diff([]string{"/opt/b", "/opt/a"}, loaderDirs(config)); diff != "" {
		t.Error(diff)
	}
}
