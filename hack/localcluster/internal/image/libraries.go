package image

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// libraries collects the shared libraries of executables, as the loader would find them, without running any.
type libraries struct {
	machine      elf.Machine
	architecture string
	dirs         []string
	// found maps a path in the image to the file it is copied from.
	found map[string]string
}

// machines are the architectures Kubernetes nodes have, as ELF names them.
func machines() map[string]elf.Machine {
	return map[string]elf.Machine{
		"386":     elf.EM_386,
		"amd64":   elf.EM_X86_64,
		"arm":     elf.EM_ARM,
		"arm64":   elf.EM_AARCH64,
		"ppc64le": elf.EM_PPC64,
		"riscv64": elf.EM_RISCV,
		"s390x":   elf.EM_S390,
	}
}

func newLibraries(architecture string) *libraries {
	dirs := loaderDirs("/etc/ld.so.conf")
	dirs = append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib")
	return &libraries{
		machine:      machines()[architecture],
		architecture: architecture,
		dirs:         dirs,
		found:        map[string]string{},
	}
}

// check returns an error for an executable that cannot run on the image's platform.
func (l *libraries) check(file string) error {
	f, err := openELF(file)
	if f == nil || err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if l.machine != elf.EM_NONE && f.Machine != l.machine {
		return fmt.Errorf("%s is built for %s, the image for %s; build it again or give the other --platform", file,
			f.Machine, l.architecture)
	}
	return nil
}

// addNeeded adds the loader and all libraries that the file needs, and those
// that they need. A file that is not linked dynamically needs none.
func (l *libraries) addNeeded(file string) error {
	f, err := openELF(file)
	if f == nil || err != nil {
		return err
	}
	defer func() { _ = f.Close() }()

	if loader := interpreter(f); loader != "" {
		if err := l.take(loader); err != nil {
			return fmt.Errorf("loader of %s: %w", file, err)
		}
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read what %s needs: %w", file, err)
	}
	for _, name := range needed {
		at, err := l.find(name, runPaths(f, file))
		if err != nil {
			return fmt.Errorf("library of %s: %w", file, err)
		}
		if _, known := l.found[at]; known {
			continue
		}
		if err := l.take(at); err != nil {
			return err
		}
		if err := l.addNeeded(at); err != nil {
			return err
		}
	}
	return nil
}

// take adds a library under the path at which the loader looks for it, also when that is a link.
func (l *libraries) take(at string) error {
	source, err := filepath.EvalSymlinks(at)
	if err != nil {
		return err
	}
	l.found[at] = source
	return nil
}

// find searches the loader's directories for a library, and skips those of other architectures.
func (l *libraries) find(name string, first []string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range slices.Concat(first, l.dirs) {
		at := filepath.Join(dir, name)
		f, err := openELF(at)
		if err != nil || f == nil {
			continue
		}
		fits := f.Machine == l.machine
		_ = f.Close()
		if fits {
			return at, nil
		}
	}
	return "", fmt.Errorf("%s is not on this machine; install the package that holds it", name)
}

// env returns the environment that tells the loader in the image where the libraries are, because the image has no
// loader cache.
func (l *libraries) env() []string {
	dirs := map[string]bool{}
	for at := range l.found {
		dirs[filepath.Dir(at)] = true
	}
	if len(dirs) == 0 {
		return nil
	}
	return []string{"LD_LIBRARY_PATH=" + strings.Join(slices.Sorted(maps.Keys(dirs)), ":")}
}

// openELF opens an executable or library; nil stands for a file of any other
// kind.
func openELF(file string) (*elf.File, error) {
	f, err := elf.Open(file)
	var format *elf.FormatError
	switch {
	case err == nil:
		return f, nil
	case errors.As(err, &format):
		return nil, nil
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, err
	}
	return nil, nil
}

func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		path := make([]byte, p.Filesz)
		if _, err := p.ReadAt(path, 0); err != nil {
			return ""
		}
		return strings.TrimRight(string(path), "\x00")
	}
	return ""
}

// runPaths returns the library directories that an executable names itself.
func runPaths(f *elf.File, file string) []string {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, err := f.DynString(tag)
		if err != nil {
			continue
		}
		for _, value := range values {
			for _, dir := range strings.Split(value, ":") {
				origin := filepath.Dir(file)
				dir = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(dir)
				if dir != "" {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	return dirs
}

// loaderDirs returns the directories in the configuration of the system's loader.
func loaderDirs(config string) []string {
	f, err := os.Open(config)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var dirs []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "include":
			included, _ := filepath.Glob(fields[1]) // only a malformed pattern fails
			for _, file := range included {
				dirs = append(dirs, loaderDirs(file)...)
			}
		case len(fields) == 1:
			dirs = append(dirs, fields[0])
		}
	}
	return dirs
}
