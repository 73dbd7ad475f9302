// Command images measures how long it takes to pack five component binaries into images and push
// them to a registry on loopback, beside buildah from Debian: the same files, the same registry
// program, both with gzip, the contenders taking turns; and again with one of the five changed. It
// prints times and sizes, and as its last lines `ratio images…`.
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
	rounds := flag.Int("rounds", 5, "rounds, each contender once a round")
	source := flag.String("source", ".", "clone of slipway, whose build cache has the binaries")
	dir := flag.String("dir", "/var/lib/slipway-bench-images", "directory for stores, on a real disk; removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *source, *dir, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
