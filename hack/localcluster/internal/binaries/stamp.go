package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stamp returns a digest of the inputs of a binary: the pinned modules, its own sources, the build options and the
// version of Go.
func (b Binary) stamp(source, goVersion string) (string, error) {
	args, err := b.arguments(source)
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	for _, part := range slices.Concat([]string{b.Name, b.pkg, goVersion}, b.group.environment(), args) {
		_, _ = fmt.Fprintf(digest, "%q\n", part)
	}
	dir := filepath.Join(source, b.group.dir)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(digest, "%q %x\n", strings.TrimPrefix(path, dir), sha256.Sum256(data))
		return nil
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// upToDate reports whether the binary exists and was built with that stamp.
func (b Binary) upToDate(binDir, stamp string) bool {
	if _, err := os.Stat(filepath.Join(binDir, b.Name)); err != nil {
		return false
	}
	written, err := os.ReadFile(b.stampFile(binDir))
	return err == nil && string(written) == stamp
}

func (b Binary) stampFile(binDir string) string {
	return filepath.Join(binDir, ".stamps", strings.ReplaceAll(b.Name, "/", "-"))
}
