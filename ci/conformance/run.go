package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/ci/conformance/junit"
	"slipway.build/slipway/ci/conformance/programs"
	"slipway.build/slipway/imagebuild/registry"
)

// Run runs the tests against the cluster, which has to be complete, and judges the run. The
// result is there whenever the tests ended by themselves, with an error that wraps ErrNotHeld if
// the gate did not hold; any other error means that nothing was judged. Root is required: the
// nodes are told of the registry.
func Run(ctx context.Context, o Options) (*Result, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	want, focus, suiteName, err := o.expectation()
	if err != nil {
		return nil, err
	}
	prepared, err := Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.All {
		if want.Names, err = suiteNames(ctx, prepared); err != nil {
			return nil, err
		}
		if len(want.Names) != want.Tests {
			return nil, fmt.Errorf("e2e.test lists %d conformance tests, Kubernetes %s is known to have %d", len(want.Names), programs.Kubernetes, want.Tests)
		}
	}
	if err := o.clearOutput(); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp("", "slipway-conformance-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	s := suite{Options: o, prepared: prepared, kubeconfig: filepath.Join(private, "kubeconfig"), focus: focus, total: want.Tests}
	began := time.Now()
	if err := s.onCluster(ctx); err != nil {
		return nil, err
	}
	r := &Result{Kubernetes: programs.Kubernetes, Suite: suiteName, Parallel: o.Parallel, Began: began.UTC().Truncate(time.Second), Seconds: time.Since(began).Seconds(), Output: o.Output}
	return r, o.judge(r, want)
}

// expectation is what the gate holds the run against, and the focus that runs it.
func (o Options) expectation() (want Expectation, focus, name string, err error) {
	if want.Failures, err = ExpectedFailures(); err != nil {
		return want, "", "", err
	}
	switch {
	case o.All:
		want.Tests, err = Tests(programs.Kubernetes)
		return want, `\[Conformance\]`, "all", err
	case o.Focus != "":
		return want, o.Focus, "other", nil
	}
	want.Names, err = FocusTests()
	want.Tests = len(want.Names)
	return want, focusOf(want.Names), "focus", err
}

// clearOutput makes the directory and removes what an earlier run left, so that no report of
// before is taken for this run's.
func (o Options) clearOutput() error {
	if err := os.MkdirAll(o.Output, 0o755); err != nil {
		return err
	}
	for _, name := range []string{logFile, junitFile, productFile, readmeFile, summaryFile} {
		if err := os.RemoveAll(filepath.Join(o.Output, name)); err != nil {
			return err
		}
	}
	return nil
}

// onCluster serves the images, tells the nodes of them, and runs the suite.
func (s suite) onCluster(ctx context.Context) (err error) {
	s.say("cluster", "looks at cluster %s", s.Cluster)
	if err := s.Options.kubeconfig(ctx, s.kubeconfig); err != nil {
		return err
	}
	nodes, err := s.Options.nodes(ctx)
	if err != nil {
		return err
	}
	s.nodes = len(nodes)
	stop, err := serve(ctx, s.Registry, s.prepared.Layout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	forget, err := s.introduce(nodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	return s.run(ctx)
}

// serve serves the layout until the returned function is called, which waits for the end.
func serve(ctx context.Context, address, layout string) (func() error, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve the tests' images: %w; the address is this machine's on the clusters' external network", err)
	}
	server := &http.Server{Handler: registry.New(layout), ReadHeaderTimeout: 30 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return func() error {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the tests' images: %w", err)
		}
		return nil
	}, nil
}

// judge reads the report, fills in the result and writes the directory's other files.
func (o Options) judge(r *Result, want Expectation) error {
	report, err := readReport(filepath.Join(o.Output, junitFile))
	if err != nil {
		report, r.Problems = &junit.Report{}, []string{err.Error()}
	}
	counts, failures, problems := Judge(report, want)
	r.Counts, r.Failures = counts, failures
	r.Problems = append(r.Problems, problems...)
	r.Held = len(r.Problems) == 0
	if err := errors.Join(o.writeProduct(r), writeJSON(filepath.Join(o.Output, summaryFile), r)); err != nil {
		return err
	}
	if !r.Held {
		return fmt.Errorf("%w: %d of %d passed, %d problems, the first: %s", ErrNotHeld, r.Passed, r.Wanted, len(r.Problems), r.Problems[0])
	}
	return nil
}

func readReport(file string) (*junit.Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("the tests left no report: %w; e2e.log tells why", err)
	}
	defer f.Close()
	r, err := junit.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", junitFile, err)
	}
	return r, nil
}

func writeJSON(file string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(file, append(b, '\n'), 0o644)
}
