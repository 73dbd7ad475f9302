package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// errExecFormat is what the kernel says of a file that begins with no interpreter.
var errExecFormat error = syscall.ENOEXEC

// process is one execution.
type process struct {
	path  string
	args  []string
	dir   string
	env   []string
	stdin []byte
	limit time.Duration
	grace time.Duration
	// keep bounds what is kept of each stream, its end, in bytes.
	keep int
	log  io.Writer // gets both streams, too; nil for nobody
	// spoke is told how many bytes were written.
	spoke func(int)
}

// outcome is how an execution ended.
type outcome struct {
	stdout, stderr string
	truncated      bool // a stream was longer than what is kept
	status         int  // its exit status, or the negative number of the signal that killed it
	timedOut       bool
	notRun         error // it could not be executed
}

// run executes and waits. It returns an error only when ctx ended it.
//
// The process and its children are a process group, which is ended as a whole. The process dies
// with the agent: nothing must go on that nobody watches and nobody would report.
func (p process) run(ctx context.Context) (outcome, error) {
	limited, cancel := context.WithTimeoutCause(ctx, p.limit, errTooLong)
	defer cancel()
	stdout, stderr := &tail{limit: p.keep}, &tail{limit: p.keep}
	cmd, err := p.execute(limited, stdout, stderr)
	out := outcome{stdout: stdout.String(), stderr: stderr.String(), truncated: stdout.cut || stderr.cut}
	var exit *exec.ExitError
	switch {
	case cmd.Process == nil:
		out.notRun = err
		return out, context.Cause(ctx)
	case ctx.Err() != nil:
		return out, context.Cause(ctx)
	case errors.Is(context.Cause(limited), errTooLong):
		out.timedOut = true
	case errors.As(err, &exit):
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return out, fmt.Errorf("wait for %s: %w", p.path, err)
	}
	out.status = statusOf(cmd.ProcessState)
	return out, nil
}

var errTooLong = errors.New("it took too long")

// execute starts and waits on one thread: the parent-death signal belongs to the thread that
// starts. The command has no process when it could not be started.
func (p process) execute(ctx context.Context, stdout, stderr *tail) (*exec.Cmd, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := p.command(ctx, stdout, stderr)
	err := cmd.Start()
	for tries := 0; errors.Is(err, syscall.ETXTBSY) && tries < 50 && ctx.Err() == nil; tries++ {
		// Another goroutine forked while the program was open for writing; until its child
		// executes something, the kernel counts the program as being written to.
		pause(ctx, 10*time.Millisecond)
		cmd = p.command(ctx, stdout, stderr)
		err = cmd.Start()
	}
	if err != nil {
		cmd.Process = nil
		return cmd, err
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		// Whatever is left of the group does not outlive its time.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return cmd, err
}

func (p process) command(ctx context.Context, stdout, stderr *tail) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	if p.stdin != nil { // otherwise /dev/null
		cmd.Stdin = bytes.NewReader(p.stdin)
	}
	cmd.Stdout, cmd.Stderr = p.sink(stdout), p.sink(stderr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	// Both after the end of ctx and after the process's own end, when a child of it that goes on
	// holds its pipes.
	cmd.WaitDelay = p.grace
	return cmd
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (p process) sink(kept *tail) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		_, _ = kept.Write(b)
		if p.log != nil {
			_, _ = p.log.Write(b) // a full disk must not stop the script
		}
		if p.spoke != nil {
			p.spoke(len(b))
		}
		return len(b), nil
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// statusOf is the exit status as Python's subprocess has it.
func statusOf(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return -int(status.Signal())
	}
	return state.ExitCode()
}

// tail keeps the last bytes that were written to it.
type tail struct {
	limit int
	buf   []byte
	cut   bool
}

func (t *tail) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	// Twice the limit may lie here, so that bytes are moved seldom.
	if len(t.buf) > 2*t.limit {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-t.limit:]...)
		t.cut = true
	}
	return len(b), nil
}

func (t *tail) String() string {
	if over := len(t.buf) - t.limit; over > 0 {
		t.cut = true
		return string(t.buf[over:])
	}
	return string(t.buf)
}
