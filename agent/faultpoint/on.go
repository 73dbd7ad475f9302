//go:build fault

package faultpoint

import (
	"fmt"
	"os"
	"strings"
	"time"

	"slipway.build/slipway/agent/faultpoint/trap"
)

// Variables of the environment by which the harness reaches the agent.
const (
	socketVariable = "SLIPWAY_FAULT_SOCKET" // where the harness waits for the trap's listener
	clockVariable  = "SLIPWAY_FAULT_CLOCK"  // a file with a duration by which the clock is off
)

// Enter puts this process under the harness's control and starts it anew there. It returns when
// no harness is named, or when this is the process that was started anew.
func Enter() error {
	socket := os.Getenv(socketVariable)
	if socket == "" {
		return nil
	}
	if err := os.Unsetenv(socketVariable); err != nil {
		return err
	}
	if err := trap.Exec(socket, "/proc/self/exe", os.Args, os.Environ()); err != nil {
		return fmt.Errorf("enter the fault harness at %s: %w", socket, err)
	}
	return nil
}

// Now is the agent's clock with the harness's offset. The host's clock is never set.
func Now() time.Time {
	raw, err := os.ReadFile(os.Getenv(clockVariable))
	if err != nil {
		return time.Now()
	}
	offset, err := time.ParseDuration(strings.TrimSpace(string(raw)))
	if err != nil || offset == 0 {
		return time.Now()
	}
	// Without the monotonic reading: a clock that jumps has none that could be trusted.
	return time.Now().Round(0).Add(offset)
}
