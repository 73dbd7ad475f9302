// Command pull measures how long a verified pull of five real component binaries takes, beside
// containerd, podman and skopeo from Debian: the same bytes from the same registry on loopback,
// each time into a fresh store, the contenders taking turns. It prints the median, the spread and
// the peak memory of each, what each one does for it, and as its last lines `ratio pull…`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"slipway.build/slipway/imagebuild/buildcache"
)

func main() {
	rounds := flag.Int("rounds", 10, "rounds per scenario, each contender once a round")
	cache := flag.String("cache", buildcache.Dir(), "build cache with the components")
	lockFile := flag.String("lock", "images.yaml", "lock of the components")
	dir := flag.String("dir", "/var/lib/slipway-bench-pull", "directory for stores, on a real disk; removed at the end")
	only := flag.String("only", "", "contenders to run, by commas; all when empty")
	scenarios := flag.String("scenarios", "", "scenarios to run, by commas; all when empty")
	profile := flag.String("profile", "", "file for a processor profile of slipway's last pull")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "serve":
		err = serve(ctx, *cache, *lockFile)
	case "store":
		err = store(ctx, flag.Arg(1), *profile)
	case "":
		err = bench(ctx, options{rounds: *rounds, cache: *cache, lock: *lockFile, dir: *dir, only: *only, profile: *profile, scenarios: *scenarios})
	default:
		err = fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
