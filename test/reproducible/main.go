// Command reproducible packs the same inputs again and again under everything that must not matter
// (directories, users, umask, time zone, locale, cores, orders and times of files), compiles one
// component twice from nothing, and says how many came out the same.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "pack" {
		exit(child(os.Args[2]))
		return
	}
	packings := flag.Int("packings", 100, "how often to pack")
	compile := flag.String("compile", "coredns", "component that is compiled twice from empty caches; empty for none")
	source := flag.String("source", ".", "clone of slipway")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, *source, *packings, *compile))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "reproducible:", err)
		os.Exit(1)
	}
}

// child packs what is in dir and prints the digests.
func child(dir string) error {
	if mask := os.Getenv("SLIPT_UMASK"); mask != "" {
		var n int
		if _, err := fmt.Sscanf(mask, "%o", &n); err != nil {
			return fmt.Errorf("umask %q: %w", mask, err)
		}
		syscall.Umask(n)
	}
	found, err := pack(context.Background(), dir)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func run(ctx context.Context, source string, packings int, compile string) error {
	work, err := os.MkdirTemp("", "slipt-reproducible-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o711); err != nil { // other users work beneath it
		return err
	}
	if err := copyProgram(filepath.Join(work, "program")); err != nil {
		return err
	}
	inputs := filepath.Join(work, "inputs")
	if err := prepare(ctx, source, inputs); err != nil {
		return err
	}
	same, want, err := packAll(ctx, work, inputs, packings)
	if err != nil {
		return err
	}
	for _, name := range sortedNames(want) {
		fmt.Printf("%-40s %s\n", name, want[name])
	}
	result := fmt.Sprintf("%d of %d packings identical", same, packings)
	failed := same != packings
	if compile != "" {
		equal, err := compileTwice(ctx, source, work, compile)
		if err != nil {
			return err
		}
		n := 1
		if equal {
			n = 2
		}
		failed = failed || !equal
		result += fmt.Sprintf(", %d of 2 compilations of %s identical", n, compile)
	}
	fmt.Println("reproducible:", result)
	if failed {
		return fmt.Errorf("not everything is reproducible")
	}
	return nil
}
