package process

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Records keeps the identities of started processes in a directory, a file
// per name, so that a later command finds them.
type Records struct{ Dir string }

// Write records the process under a name. It returns an error when the file cannot be written.
func (r Records) Write(name string, id Identity) error {
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return err
	}
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	// The file is renamed when it is complete, so that a reader never sees half a record.
	half := r.path(name) + ".new"
	if err := os.WriteFile(half, data, 0o600); err != nil {
		return err
	}
	return os.Rename(half, r.path(name))
}

// Read returns the process that is recorded under a name. Without a readable record it returns one that is not alive.
func (r Records) Read(name string) Identity {
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		return Identity{}
	}
	var id Identity
	if json.Unmarshal(data, &id) != nil {
		return Identity{}
	}
	return id
}

// Forget removes the record of a name. It returns an error when the file exists and cannot be removed.
func (r Records) Forget(name string) error {
	err := os.Remove(r.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Names returns the recorded names, sorted.
func (r Records) Names() []string {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (r Records) path(name string) string { return filepath.Join(r.Dir, name+".json") }
