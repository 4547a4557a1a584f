package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// content holds the entries of the image by path.
type content struct {
	entries map[string]entry
	env     []string
}

type entry struct {
	mode fs.FileMode
	// data of a regular file, or where it is read from.
	data   []byte
	source string
}

// The files of certificate authorities on the machine, by distribution.
func certificateBundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	}
}

const bundleInImage = "/etc/ssl/certs/ca-certificates.crt"

// contentOf collects the files of an image: the specified ones, the libraries that they are linked against, and the few
// that programs expect on any system.
func contentOf(spec Spec, architecture string) (*content, error) {
	c := &content{entries: map[string]entry{}}
	c.addText("/etc/passwd",
		"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")
	c.addText("/etc/group", "root:x:0:\nnonroot:x:65532:\n")
	c.addText("/etc/nsswitch.conf", "hosts: files dns\n")
	c.add("/tmp", entry{mode: fs.ModeDir | fs.ModeSticky | 0o777})
	for _, bundle := range certificateBundles() {
		if data, err := os.ReadFile(bundle); err == nil {
			c.add(bundleInImage, entry{mode: 0o644, data: data})
			break
		}
	}

	libraries := newLibraries(architecture)
	for _, f := range spec.Files {
		if !path.IsAbs(f.Target) || f.Target == "/" {
			return nil, fmt.Errorf("--add %s=%s: expected SRC=/DST with an absolute path in the image", f.Source, f.Target)
		}
		if err := c.addFile(f, libraries, spec.Libraries); err != nil {
			return nil, fmt.Errorf("--add %s=%s: %w", f.Source, f.Target, err)
		}
	}
	for target, source := range libraries.found {
		c.add(target, entry{mode: 0o755, source: source})
	}
	c.env = libraries.env()
	return c, nil
}

// addFile adds a file, or all files of a directory. It follows symbolic links.
func (c *content) addFile(f File, libraries *libraries, linked bool) error {
	source, err := filepath.EvalSymlinks(f.Source)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist", f.Source)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	target := path.Clean(f.Target)
	switch {
	case info.IsDir():
		c.add(target, entry{mode: fs.ModeDir | 0o755})
		inside, err := os.ReadDir(source)
		if err != nil {
			return err
		}
		for _, e := range inside {
			below := File{filepath.Join(source, e.Name()), path.Join(target, e.Name())}
			if err := c.addFile(below, libraries, linked); err != nil {
				return err
			}
		}
		return nil
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a directory", source)
	}
	if err := libraries.check(source); err != nil {
		return err
	}
	if linked {
		if err := libraries.addNeeded(source); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	c.add(target, entry{mode: mode, source: source})
	return nil
}

func (c *content) addText(target, text string) {
	c.add(target, entry{mode: 0o644, data: []byte(text)})
}

// add adds an entry and its parent directories.
func (c *content) add(target string, e entry) {
	c.entries[target] = e
	for dir := path.Dir(target); dir != "/"; dir = path.Dir(dir) {
		if _, there := c.entries[dir]; !there {
			c.entries[dir] = entry{mode: fs.ModeDir | 0o755}
		}
	}
}

// tar writes the entries in order of their paths, with neither times nor
// owners of the machine they come from.
func (c *content) tar() ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, target := range slices.Sorted(maps.Keys(c.entries)) {
		e := c.entries[target]
		header := &tar.Header{
			Name:    strings.TrimPrefix(target, "/"),
			Mode:    int64(e.mode.Perm()),
			ModTime: time.Unix(0, 0),
			Format:  tar.FormatPAX,
		}
		if e.mode.IsDir() {
			header.Typeflag = tar.TypeDir
			header.Name += "/"
			if e.mode&fs.ModeSticky != 0 {
				header.Mode |= 0o1000
			}
			if err := w.WriteHeader(header); err != nil {
				return nil, err
			}
			continue
		}
		data := e.data
		if e.source != "" {
			var err error
			if data, err = os.ReadFile(e.source); err != nil {
				return nil, err
			}
		}
		header.Typeflag = tar.TypeReg
		header.Size = int64(len(data))
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
