// Command tamper changes single bytes of everything that a node takes from a registry, on the way
// and at rest, and counts what the agent does about it: each flip must be refused, nothing may
// start, and nothing may be left over. Its last line says how many there were.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	flips := flag.Int("flips", 10_000, "how many bytes to flip")
	seed := flag.Uint64("seed", 1, "of the choice of places")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "sliptamper-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "tamper:", err)
		os.Exit(1)
	}
	c, err := tamper(ctx, dir, *flips, *seed)
	_ = os.RemoveAll(dir)
	if err == nil {
		err = c.verdict(*flips)
	}
	for _, line := range c.byKind() {
		fmt.Println(line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tamper:", err)
	}
	fmt.Println(c)
	if err != nil {
		os.Exit(1)
	}
}
