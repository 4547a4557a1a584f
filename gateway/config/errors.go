package config

import "fmt"

// Error is one problem that keeps a configuration from being used.
type Error struct {
	// Key is the configuration key, a constant of package contract or an unknown key.
	Key string
	// Source is the file, the environment variable or the flag that set the key, or "default".
	Source string
	// Problem says what is wrong. It repeats no secrets.
	Problem string
	// Remedy says what to write instead.
	Remedy string
}

// Error returns one line: key, source, problem and remedy.
func (e *Error) Error() string {
	return fmt.Sprintf("%s (%s): %s; %s", e.Key, e.Source, e.Problem, e.Remedy)
}
