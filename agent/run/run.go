package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"slipway.build/slipway/agent/footprint"
	"slipway.build/slipway/agent/supervision"
)

// ExitRefused is the exit status when the component may not be started: EX_CONFIG of
// sysexits.h. Units keep systemd from restarting on it.
const ExitRefused = 78

// Main runs the component of the exec file at path and returns the exit status that the process
// should end with. It does not return when the component died by a signal: it dies likewise.
// The caller must have locked the main goroutine to the main thread, because the component dies
// with the thread that started it.
func Main(path string, stderr io.Writer) int {
	runtime.GOMAXPROCS(1) // one thread of Go code is plenty
	spec, err := ReadSpec(path)
	if err != nil {
		return refuse(stderr, err)
	}
	binary, err := verify(spec, path == supervision.SpecInRoot)
	if err != nil {
		return refuse(stderr, err)
	}
	footprint.Rest()
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
	_, _ = fmt.Fprintf(stderr, "<3>slipway-exec: %v\n", err)
	return ExitRefused
}

// lastWord is how long a component may take to end once the watchdog has given it up. The unit's
// TimeoutAbortSec is longer.
const lastWord = 5 * time.Second

type supervisor struct {
	spec   *Spec
	stderr io.Writer
	notify *notifier
	kills  int // of our unit, for memory, before the component ran
}

// run starts the component and stays with it until it ends.
func (s *supervisor) run(binary *os.File) (syscall.WaitStatus, error) {
	notify, err := newNotifier()
	if err != nil {
		return 0, err
	}
	s.notify = notify
	signals, children := listen()
	if sig := s.await(signals); sig != nil {
		return 0, &stopped{sig}
	}
	s.kills = memoryKills()
	child, err := syscall.ForkExec(
		// The open file that was hashed, whatever the path names by now.
		fmt.Sprintf("/proc/self/fd/%d", binary.Fd()),
		append([]string{filepath.Base(s.spec.Path)}, s.spec.Args...),
		&syscall.ProcAttr{
			Env:   childEnv(s.spec.Env),
			Files: []uintptr{os.Stdin.Fd(), os.Stdout.Fd(), os.Stderr.Fd()},
			Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
		})
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", s.spec.Path, err)
	}
	_ = binary.Close()
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
	var overdue <-chan time.Time
	for {
		select {
		case sig := <-signals:
			forward(child, sig, s.notify)
			if sig == syscall.SIGABRT && overdue == nil {
				// The watchdog's: a last word is welcome, but what hangs may have none.
				overdue = time.After(lastWord)
			}
		case <-overdue:
			forward(child, syscall.SIGKILL, s.notify)
		case <-children:
			status, err := ended(child)
			if err != nil {
				return 0, fmt.Errorf("wait for %s: %w", s.spec.Path, err)
			}
			if status != nil {
				return *status, nil
			}
		}
	}
}

// listen returns the signals that concern the component, and apart from them a channel that has
// something whenever a child may have ended.
func listen() (signals, children chan os.Signal) {
	signals, children = make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	var all []os.Signal
	const last, own1, own2 = 64, 32, 33 // signal(7); the C library keeps two of them
	for n := syscall.Signal(1); n <= last; n++ {
		switch n {
		case own1, own2:
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE: // are about ourselves
		default:
			all = append(all, n)
		}
	}
	signal.Notify(signals, all...)
	return signals, children
}

// ended returns how the child ended, nil while it runs. It never blocks, so that no thread has
// to wait beside the ones that there are anyway.
func ended(child int) (*syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(child, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case pid == child && (status.Exited() || status.Signaled()):
			return &status, nil
		default:
			return nil, nil
		}
	}
}

// forward passes a signal on to the component.
func forward(child int, sig os.Signal, notify *notifier) {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT:
		notify.send("STOPPING=1")
	}
	if number, ok := sig.(syscall.Signal); ok {
		_ = syscall.Kill(child, number) // it may have ended; then SIGCHLD is on its way
	}
}

// end returns the component's exit status, or dies by the signal that it died by.
func (s *supervisor) end(status syscall.WaitStatus) int {
	if !status.Signaled() {
		return status.ExitStatus()
	}
	if status.Signal() == syscall.SIGKILL && memoryKills() > s.kills {
		text := "Out of memory: the kernel killed it " + memoryLimit()
		_, _ = fmt.Fprintf(s.stderr, "<3>slipway-exec: %s: %s\n", s.spec.Path, text)
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
