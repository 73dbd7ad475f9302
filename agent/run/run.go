package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"slipway.build/slipway/agent/plan"
)

// ExitRefused is the exit status when the component may not be started: EX_CONFIG of
// sysexits.h. Units keep systemd from restarting on it.
const ExitRefused = 78

// Main runs the component of the exec file at path and returns the exit status that the process
// should end with. It does not return when the component died by a signal: it dies likewise.
// The caller must have locked the main goroutine to the main thread, because the component dies
// with the thread that started it.
func Main(path string, stderr io.Writer) int {
	// Beside every component lives one of us: stay small. One thread of Go code is plenty.
	debug.SetGCPercent(20)
	runtime.GOMAXPROCS(1)
	spec, err := ReadSpec(path)
	if err != nil {
		return refuse(stderr, err)
	}
	binary, err := verify(spec, path == plan.SpecInRoot)
	if err != nil {
		return refuse(stderr, err)
	}
	debug.FreeOSMemory()
	s := &supervisor{spec: spec, stderr: stderr}
	status, err := s.run(binary)
	var stop *stopped
	if errors.As(err, &stop) {
		return 0 // told to end before there was anything to run
	}
	if err != nil {
		return refuse(stderr, err)
	}
	return s.end(status)
}

// refuse prints err as an error for the journal (the prefix is sd-daemon(3)'s).
func refuse(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintf(stderr, "<3>slipway-agent exec: %v\n", err)
	return ExitRefused
}

type supervisor struct {
	spec   *Spec
	stderr io.Writer
	notify *notifier
	kills  int // of our unit, for memory, before the component ran
}

// run starts the component and stays with it until it ends.
func (s *supervisor) run(binary *os.File) (*os.ProcessState, error) {
	notify, err := newNotifier()
	if err != nil {
		return nil, err
	}
	s.notify = notify
	signals := make(chan os.Signal, 16)
	signal.Notify(signals)
	if sig := s.await(signals); sig != nil {
		return nil, &stopped{sig}
	}
	cmd := &exec.Cmd{
		// The open file that was hashed, whatever the path names by now.
		Path:        fmt.Sprintf("/proc/self/fd/%d", binary.Fd()),
		Args:        append([]string{filepath.Base(s.spec.Path)}, s.spec.Args...),
		Env:         childEnv(s.spec.Env),
		Stdin:       nil,
		Stdout:      os.Stdout,
		Stderr:      os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	s.kills = memoryKills()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.spec.Path, err)
	}
	_ = binary.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx)
	}()
	defer func() {
		cancel()
		<-watched
	}()
	for {
		select {
		case sig := <-signals:
			forward(cmd.Process, sig, s.notify)
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return nil, fmt.Errorf("wait for %s: %w", s.spec.Path, err)
			}
			return cmd.ProcessState, nil
		}
	}
}

// forward passes a signal on to the component, unless it is about ourselves.
func forward(process *os.Process, sig os.Signal, notify *notifier) {
	switch sig {
	case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE:
		return
	case syscall.SIGTERM, syscall.SIGINT:
		notify.send("STOPPING=1")
	}
	_ = process.Signal(sig)
}

// end returns the component's exit status, or dies by the signal that it died by.
func (s *supervisor) end(state *os.ProcessState) int {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return state.ExitCode()
	}
	if status.Signal() == syscall.SIGKILL && memoryKills() > s.kills {
		text := "Out of memory: the kernel killed it " + memoryLimit()
		_, _ = fmt.Fprintf(s.stderr, "<3>slipway-agent exec: %s: %s\n", s.spec.Path, text)
		s.notify.send("STATUS=" + text)
	}
	_, _ = fmt.Fprintf(s.stderr, "<4>%s was ended by signal %s\n", s.spec.Path, status.Signal())
	signal.Reset(status.Signal())
	// No second core file: the component's own is the one that tells something.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	if status.Signal() == syscall.SIGTERM || status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGINT {
		_ = syscall.Kill(os.Getpid(), status.Signal())
		time.Sleep(time.Second) // the signal ends us before; if it is blocked, go on
	}
	const signalBase = 128 // the shell's convention
	return signalBase + int(status.Signal())
}
