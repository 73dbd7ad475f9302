package conformance

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// Options say which cluster is examined, with which tests, and where the results go.
type Options struct {
	// Tree is the root of the repository, an absolute path.
	Tree string
	// Slipway is the operator's program; empty means bin/slipway of the tree.
	Slipway string
	// State is the state directory of the Slipway that has the cluster; empty means its default.
	State string
	// Cluster is the cluster's name; empty means "k8s".
	Cluster string
	// Output is the directory for the results, which is made: e2e.log, junit_01.xml, PRODUCT.yaml,
	// README.md and summary.json. What an earlier run left there under these names is replaced.
	Output string
	// All runs the whole suite, about half an hour; without it only the focus runs.
	All bool
	// Focus replaces the focus: a regular expression of Ginkgo's. The gate then counts what ran,
	// but holds nothing against a list. It is for looking into a failure.
	Focus string
	// Parallel is how many tests run at the same time; 0 means 8. Serial ones run alone after the
	// others.
	Parallel int
	// Registry is where the tests' images are served, as nodes reach this machine; empty means
	// 172.29.0.1:5001.
	Registry string
	// Limit ends a run that takes longer; 0 means 20 minutes for the focus and 3 hours for all.
	Limit time.Duration
	// Report, if set, is told what happens, by one goroutine at a time.
	Report func(Progress)
	// Log, if set, gets what e2e.test prints, as e2e.log does.
	Log io.Writer
}

// Progress is one step of a run.
type Progress struct {
	// Step is "programs", "images", "cluster" or "tests".
	Step string
	// Text says what is being done.
	Text string
	// Done and Failed count the tests so far, Total those of the run; all are 0 before the tests.
	Done, Failed, Total int
	// Elapsed is the time since the step's beginning.
	Elapsed time.Duration
}

// Result is what a run came to. It is summary.json.
type Result struct {
	Kubernetes string `json:"kubernetes"`
	// Suite is "all", "focus" or "other".
	Suite    string    `json:"suite"`
	Parallel int       `json:"parallel"`
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"` // of the tests alone
	Counts
	// Failures are the conformance tests that failed, by name.
	Failures []Failure `json:"failures"`
	// Held reports whether the gate held; Problems says why not.
	Held     bool     `json:"held"`
	Problems []string `json:"problems"`
	// Output is the directory of the results.
	Output string `json:"output"`
}

// Counts are the conformance tests of a run.
type Counts struct {
	// Wanted is how many had to run.
	Wanted int `json:"wanted"`
	// Ran is how many ran: Passed and Failed together.
	Ran    int `json:"ran"`
	Passed int `json:"passed"`
	Failed int `json:"failed"`
	// Expected is how many of the failed are in the list of expected failures.
	Expected int `json:"expected"`
	// Skipped is how many of the wanted were skipped.
	Skipped int `json:"skipped"`
}

// Failure is one failed test.
type Failure struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Expected says why it cannot pass yet; empty for a failure that nobody expects.
	Expected string `json:"expected,omitempty"`
}

// ErrNotHeld is wrapped by the error of a run that ended by itself and that the gate refused.
var ErrNotHeld = errors.New("the conformance gate did not hold")

func (o Options) complete() (Options, error) {
	if o.Tree == "" || !filepath.IsAbs(o.Tree) {
		return o, fmt.Errorf("conformance: tree %q is no absolute path", o.Tree)
	}
	if o.Output == "" {
		return o, errors.New("conformance: an output directory is required")
	}
	if o.All && o.Focus != "" {
		return o, errors.New("conformance: all of the tests and a focus exclude each other")
	}
	if o.Parallel < 0 || o.Parallel > 64 {
		return o, fmt.Errorf("conformance: %d tests at the same time: want 1 to 64", o.Parallel)
	}
	var err error
	if o.Output, err = filepath.Abs(o.Output); err != nil {
		return o, err
	}
	if o.Slipway == "" {
		o.Slipway = filepath.Join(o.Tree, "bin", "slipway")
	}
	if o.Cluster == "" {
		o.Cluster = "k8s"
	}
	if o.Registry == "" {
		o.Registry = "172.29.0.1:5001"
	}
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	if o.Limit == 0 {
		if o.Limit = 20 * time.Minute; o.All {
			o.Limit = 3 * time.Hour
		}
	}
	return o, nil
}

func (o Options) say(step, form string, a ...any) {
	o.report(Progress{Step: step, Text: fmt.Sprintf(form, a...)})
}

func (o Options) report(p Progress) {
	if o.Report != nil {
		o.Report(p)
	}
}
