// Command slipway-exec is the main process of a component's unit: it checks the component's
// binary, runs it, watches it and tells systemd. It is a program of its own because it lives
// beside every component and must be small.
package main

import (
	"fmt"
	"os"
	"runtime"

	"slipway.build/slipway/agent/run"
)

func init() {
	// The parent-death signal of a component is tied to the thread that starts it: the main one.
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) != 2 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: slipway-exec FILE")
		const usage = 2
		os.Exit(usage)
	}
	os.Exit(run.Main(os.Args[1], os.Stderr))
}
