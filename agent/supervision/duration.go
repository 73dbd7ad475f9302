package supervision

import (
	"encoding/json"
	"fmt"
	"time"
)

// String returns the duration as time.Duration prints it, such as "1m30s".
func (d Duration) String() string { return time.Duration(d).String() }

// Or returns d, or fallback when d is zero.
func (d Duration) Or(fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return time.Duration(d)
}

// MarshalJSON writes the duration as a string that time.ParseDuration reads.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a string as time.ParseDuration does; a bare number is refused, because
// it would not say its unit.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("duration %s: want a string such as \"90s\"", data)
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("duration %q: want a string such as \"90s\"", text)
	}
	*d = Duration(value)
	return nil
}
