package process

import (
	"os"
	"testing"
	"time"
)

// Lasting is how long a test is to last: what a variable of the environment says, like 2m, or as long as
// usual. Half of that is the least that shows anything.
func Lasting(t *testing.T, variable string, usual time.Duration) time.Duration {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		return usual
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < usual/2 {
		t.Fatalf("%s=%s: give a duration from %v, like 2m", variable, value, usual/2)
	}
	return d
}
