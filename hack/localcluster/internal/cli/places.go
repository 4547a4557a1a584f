package cli

import (
	"errors"
	"os"
	"path/filepath"
)

// modulesBelow is where the repository keeps the modules of the binaries.
const modulesBelow = "hack/localcluster/binaries"

var errNoRepository = errors.New(
	"the wsfleet repository is neither around the working directory nor around this program: " +
		"run it from inside the repository, or give --bin-dir")

// findRepository looks upwards from the working directory, and then from this
// program, which is usually built into the repository's bin.
func findRepository() (string, error) {
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if self, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(self))
	}
	for _, start := range starts {
		if found, ok := upwards(start, modulesBelow); ok {
			return found, nil
		}
	}
	return "", errNoRepository
}

// upwards finds the nearest directory at or above start that has the path.
func upwards(start, has string) (string, bool) {
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, has)); err == nil {
			return dir, true
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
	}
}

func (a *app) findBinDir() (string, error) {
	if a.binDir != "" {
		return filepath.Abs(a.binDir)
	}
	repository, err := findRepository()
	if err != nil {
		return "", err
	}
	return filepath.Join(repository, "bin", "k8s"), nil
}
