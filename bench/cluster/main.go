// Command cluster measures creations of clusters with the programs in bin/: for each size
// several runs, each from the POST until every node is Ready, with nothing of a cluster there
// before. It prints the median of each phase, the processor time that the nodes used, what
// each node received and verified, and as its last lines `seconds <size> <median>`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	runs := flag.Int("runs", 3, "creations per size")
	sizes := flag.String("sizes", "3+3,1+1", "masters+workers, separated by commas")
	bin := flag.String("bin", "bin", "directory of slipway and kubectl")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *bin, strings.Split(*sizes, ","), *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, bin string, sizes []string, runs int) error {
	if runs < 1 {
		return fmt.Errorf("-runs %d: want at least one", runs)
	}
	s := slipway{bin: bin}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	var last []string
	for _, size := range sizes {
		var masters, nodes int
		if _, err := fmt.Sscanf(size, "%d+%d", &masters, &nodes); err != nil {
			return fmt.Errorf("size %q: want MASTERS+WORKERS", size)
		}
		var all []run
		for i := range runs {
			r, err := s.measure(ctx, masters, nodes)
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", size, i+1, err)
			}
			fmt.Printf("run %d of %s: %.2f s, processor %.1f s, memory %d MiB\n", i+1, size, r.seconds, r.processor, r.memory>>20)
			all = append(all, r)
		}
		report(os.Stdout, size, all)
		last = append(last, fmt.Sprintf("seconds %s %.2f", size, median(all, func(r run) float64 { return r.seconds })))
	}
	for _, l := range last {
		fmt.Println(l)
	}
	return nil
}
