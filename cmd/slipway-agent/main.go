// Command slipway-agent is the agent of a node. As slipway-generator it is a systemd generator,
// which is decided before anything else is set up, because that must be small and quick.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"slipway.build/slipway/agent/faultpoint"
	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/plan"
)

func main() {
	if filepath.Base(os.Args[0]) == generator.Name {
		os.Exit(generate(os.Args[1:]))
	}
	syscall.Umask(0o022) // directories of generations have these modes, or they count as changed
	if err := faultpoint.Enter(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "slipway-agent:", err)
		os.Exit(exitFailed)
	}
	os.Exit(command())
}

// generate is called by systemd with three directories; units go into the first, the normal one.
func generate(dirs []string) int {
	if len(dirs) == 0 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: slipway-generator NORMAL-DIR [EARLY-DIR LATE-DIR]")
		return exitUsage
	}
	if err := generator.Generate(plan.Current, dirs[0]); err != nil {
		// On the console and in the journal: a generator has no other way to speak.
		_, _ = fmt.Fprintln(os.Stderr, "slipway-generator:", err)
		return exitFailed
	}
	return exitOK
}
