package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// exceptions are findings that are right as they are. Each is a line of the file, after a comment line with its reason:
//
//	# the flag's text is one sentence that users see whole
//	cmd/wsfleet/load.go: flags.StringVar(
//
// What follows the path is the beginning of the finding's subject.
type exceptions struct {
	entries []*exception
}

type exception struct {
	path, subject string
	used          bool
}

// readExceptions reads the file; an empty name stands for no exceptions. It returns an error when the file cannot be
// read, and when an exception has no reason or no path.
func readExceptions(name string) (*exceptions, error) {
	known := &exceptions{}
	if name == "" {
		return known, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	explained := false
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.TrimSpace(line) == "":
			explained = false
		case strings.HasPrefix(line, "#"):
			explained = true
		default:
			path, subject, ok := strings.Cut(line, ": ")
			if !ok || !explained {
				return nil, fmt.Errorf("%s:%d: an exception is `path: subject`, below a comment with its reason", name, i+1)
			}
			known.entries = append(known.entries, &exception{path: path, subject: subject})
		}
	}
	return known, nil
}

// explains reports whether an exception names the finding, and marks the exception as used.
func (e *exceptions) explains(f finding) bool {
	for _, entry := range e.entries {
		if entry.path == f.path && strings.HasPrefix(f.subject, entry.subject) {
			entry.used = true
			return true
		}
	}
	return false
}

// unused returns an error that names the exceptions without a finding: they are to be removed.
func (e *exceptions) unused() error {
	var unused []error
	for _, entry := range e.entries {
		if !entry.used {
			unused = append(unused, fmt.Errorf("the exception %q explains no finding: remove it", entry.path+": "+entry.subject))
		}
	}
	return errors.Join(unused...)
}
