// Command run makes a cluster of one master and two workers on this machine, runs Kubernetes'
// conformance tests against it, judges them and takes the cluster away again. Its last line says
// how many passed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"slipway.build/slipway/ci/conformance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o conformance.Options
	var keep, prepare, lock, existing bool
	flag.BoolVar(&o.All, "all", false, "run all conformance tests, about half an hour; otherwise the focus")
	flag.StringVar(&o.Focus, "focus", "", "run the tests that match this regular expression instead")
	flag.StringVar(&o.Output, "o", filepath.Join("bin", "conformance"), "directory of the results")
	flag.StringVar(&o.State, "state", "/var/lib/slipway-conformance", "state directory of the cluster")
	flag.IntVar(&o.Parallel, "parallel", 0, "tests at the same time (8)")
	flag.BoolVar(&existing, "existing", false, "use the cluster k8s that is there in the state directory, and leave it")
	flag.BoolVar(&keep, "keep", false, "leave the cluster running")
	flag.BoolVar(&prepare, "prepare", false, "only compile the tests and make their images")
	flag.BoolVar(&lock, "lock", false, "only rewrite the lock of the tests' images")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	tree, err := os.Getwd()
	if err != nil {
		return err
	}
	o.Tree, o.Report = tree, print
	switch {
	case lock:
		return conformance.UpdateLock(ctx, o)
	case prepare:
		_, err := conformance.Prepare(ctx, o)
		return err
	case existing:
		return judge(conformance.Run(ctx, o))
	}
	return judge(conformance.RunOnOwn(ctx, o, keep))
}

// print writes a line for a step, and for the tests one per failure or second.
func print(p conformance.Progress) {
	if p.Step != "tests" {
		fmt.Printf("%s: %s\n", p.Step, p.Text)
		return
	}
	fmt.Printf("tests: %d of %d done, %d failed, %.0f s %s\n", p.Done, p.Total, p.Failed, p.Elapsed.Seconds(), p.Text)
}

func judge(r *conformance.Result, err error) error {
	if r == nil {
		return err
	}
	for _, p := range r.Problems {
		fmt.Println("problem:", p)
	}
	for _, f := range r.Failures {
		if f.Expected != "" {
			fmt.Println("expected:", f.Name, "-", f.Expected)
		}
	}
	fmt.Printf("results in %s\n", r.Output)
	fmt.Printf("conformance %s %s: %d of %d passed, %d failed (%d expected), %d skipped, %.0f s\n",
		r.Kubernetes, r.Suite, r.Passed, r.Wanted, r.Failed, r.Expected, r.Skipped, r.Seconds)
	return err
}
