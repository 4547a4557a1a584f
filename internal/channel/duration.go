package channel

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration whose JSON is a text like 30s or 5m.
type Duration time.Duration

// String returns the duration in the form of time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON returns the duration as a JSON string. The error is always nil.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON sets d to the duration of a JSON string. It returns an error, and leaves d as it is, when b is
// something else.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("a duration is a text like 30s or 5m: %w", err)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("a duration is a text like 30s or 5m: %w", err)
	}
	*d = Duration(parsed)
	return nil
}
