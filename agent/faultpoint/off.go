//go:build !fault

package faultpoint

import "time"

// Enter does nothing in a normal build.
func Enter() error { return nil }

// Now is the agent's clock.
func Now() time.Time { return time.Now() }
