package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Command is a program that a stage runs.
type Command struct {
	Dir    string
	Env    []string // beside this process's own
	Name   string
	Args   []string
	Stdout io.Writer // nil is the log
	Stdin  io.Reader
	// Grace is the time between the first request to end and the last; 0 means 10 s.
	Grace time.Duration
}

// Command runs a program to its end, its output goes to the log. When the context ends, the
// program and what it has started are asked to end and, after the grace, made to; they do not
// outlive this process either.
func (s *Step) Command(ctx context.Context, c Command) error {
	fmt.Fprintf(s.log, "+ %s %s\n", filepath.Base(c.Name), strings.Join(c.Args, " "))
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Dir, cmd.Env, cmd.Stdin = c.Dir, append(os.Environ(), c.Env...), c.Stdin
	cmd.Stdout, cmd.Stderr = c.Stdout, s.log
	if c.Stdout == nil {
		cmd.Stdout = s.log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = c.Grace
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = 10 * time.Second
	}
	ended := make(chan error, 1)
	go func() {
		// The kernel sends the death signal when the thread ends that has started the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			err = cmd.Wait()
			// Whatever of the group is left has lost who would wait for it.
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		ended <- err
	}()
	err := <-ended
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.Name), cause)
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return fmt.Errorf("%s %s: %w; the log has what it said", filepath.Base(c.Name), strings.Join(c.Args, " "), exit)
	}
	return err
}
