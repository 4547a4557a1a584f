// Package image builds container images from files, without a daemon, a registry or a base image. The same files always
// give the same archive.
package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Spec describes the files of an image and how it runs.
type Spec struct {
	// Name is the reference of the image with its tag.
	Name  string
	Files []File
	// Libraries adds the shared libraries that the files need.
	Libraries  bool
	Entrypoint []string
	// User is UID:GID.
	User string
	// Platform is OS/ARCHITECTURE.
	Platform string
}

// File is one file or directory to add.
type File struct{ Source, Target string }

// Build writes the image as a docker archive. It returns an error when the name is not valid or a file cannot be read.
func Build(spec Spec, archive string) error {
	tag, err := name.NewTag(spec.Name, name.WithDefaultRegistry(""))
	if err != nil {
		return fmt.Errorf("--name %q: %w; expected NAME:TAG, such as wsfleet/gateway:dev", spec.Name, err)
	}
	img, err := build(spec)
	if err != nil {
		return err
	}
	return writeWhole(archive, func(w io.Writer) error { return tarball.Write(tag, img, w) })
}

func build(spec Spec) (v1.Image, error) {
	platform, err := v1.ParsePlatform(spec.Platform)
	if err != nil || platform.OS != "linux" || platform.Architecture == "" {
		return nil, fmt.Errorf("--platform %q: expected linux/ARCHITECTURE, such as linux/amd64", spec.Platform)
	}
	content, err := contentOf(spec, platform.Architecture)
	if err != nil {
		return nil, err
	}
	tarred, err := content.tar()
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(tarred)), nil
	})
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Config.Entrypoint = spec.Entrypoint
	config.Config.User = spec.User
	config.Config.WorkingDir = "/"
	config.Config.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/"},
		content.env...)
	return mutate.ConfigFile(img, config)
}

// writeWhole writes a complete file, or none when it fails.
func writeWhole(path string, write func(io.Writer) error) error {
	half, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write image archive: %w", err)
	}
	err = write(half)
	err = errors.Join(err, half.Chmod(0o644), half.Close())
	if err == nil {
		err = os.Rename(half.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write image archive: %w", err), os.Remove(half.Name()))
	}
	return nil
}
