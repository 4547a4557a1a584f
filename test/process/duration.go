package process

import (
	"os"
	"testing"
	"time"
)

// Duration returns how long a test should run: the value of an environment variable, like 2m, or the fallback. It
// fails the test when the value is below half of the fallback, because shorter runs show nothing.
func Duration(t *testing.T, variable string, fallback time.Duration) time.Duration {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		return fallback
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < fallback/2 {
		t.Fatalf("%s=%s: give a duration from %v, like 2m", variable, value, fallback/2)
	}
	return d
}
