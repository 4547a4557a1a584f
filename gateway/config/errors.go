package config

import "fmt"

// Error is a configuration that cannot be used: which key, who set it, what is wrong and what to do.
type Error struct {
	Key     string
	Source  string
	Problem string
	Remedy  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (%s): %s; %s", e.Key, e.Source, e.Problem, e.Remedy)
}
