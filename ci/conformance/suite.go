package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"slipway.build/slipway/ci/conformance/programs"
	"slipway.build/slipway/ci/conformance/testimages"
)

// The files of a run.
const (
	logFile   = "e2e.log"
	junitFile = "junit_01.xml"
)

// suite is one call of ginkgo.
type suite struct {
	Options
	prepared   *Prepared
	kubeconfig string
	nodes      int
	focus      string
	total      int
}

// focusOf is the regular expression that picks exactly these tests.
func focusOf(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, regexp.QuoteMeta(n))
	}
	return strings.Join(quoted, "|")
}

// arguments are those of ginkgo. It runs the serial tests after the others by itself.
func (s suite) arguments() []string {
	return []string{
		"run", "--no-color", "-v", "--procs=" + strconv.Itoa(s.Parallel), "--timeout=" + s.Limit.String(),
		"--focus=" + s.focus, filepath.Join(s.prepared.Programs, programs.E2E), "--",
		"--kubeconfig=" + s.kubeconfig, "--provider=local", "--report-dir=" + s.Output,
		"--kubectl-path=" + filepath.Join(s.Tree, "bin", "kubectl"),
		"--num-nodes=" + strconv.Itoa(s.nodes), "--disable-log-dump",
	}
}

// grace is what an interrupted suite has to delete its name spaces.
const grace = 2 * time.Minute

// run runs the suite to its end. Failed tests are no error: the report has them.
func (s suite) run(ctx context.Context) error {
	log, err := os.Create(filepath.Join(s.Output, logFile))
	if err != nil {
		return err
	}
	defer log.Close()
	repositories := filepath.Join(filepath.Dir(s.kubeconfig), "repositories.yaml")
	if err := os.WriteFile(repositories, testimages.Repositories(s.Registry), 0o644); err != nil {
		return err
	}
	counter := &counter{report: s.report, total: s.total, begun: time.Now()}
	sinks := []io.Writer{log, counter}
	if s.Log != nil {
		sinks = append(sinks, s.Log)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.prepared.Programs, programs.Ginkgo), s.arguments()...)
	cmd.Env = append(os.Environ(), "KUBE_TEST_REPO_LIST="+repositories, "KUBECONFIG="+s.kubeconfig)
	cmd.Dir = filepath.Dir(s.kubeconfig)
	out := io.MultiWriter(sinks...)
	cmd.Stdout, cmd.Stderr = out, out
	// Ginkgo and its tests are a process group: they end together, and with us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = grace
	runtime.LockOSThread() // the parent-death signal is tied to the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start ginkgo: %w", err)
	}
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever has outlived it
	counter.end()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the conformance tests were ended: %w", context.Cause(ctx))
	case errors.As(err, &exit):
		return log.Close() // tests failed, or it was not able to begin: the report tells
	case err != nil:
		return fmt.Errorf("ginkgo: %w", err)
	}
	return log.Close()
}
