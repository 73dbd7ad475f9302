package self

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// marker is the environment variable that tells a program that it was launched, and as what.
const marker = "SLIPWAY_AGENT_SHA256"

// Launcher decides at the start of the OS layer's agent which program does the work.
type Launcher struct {
	Root string // plan.Root on a node
	// Check verifies, offline, that the current generation's plan is signed and that the signed
	// lock gives that program of that image that digest.
	Check func(*Program) error
	// Arm makes sure that Expire runs after that time, whatever becomes of this process. A trial
	// that is armed already keeps its time.
	Arm func(generation uint64, after time.Duration) error
	// Exec replaces this process; it returns only when that failed.
	Exec func(path string, args, env []string) error
	Log  *slog.Logger
}

// Launch replaces this process by the program of the current generation, if there is one that
// is good. It returns when this process is the one to do the work.
func (l *Launcher) Launch(args, env []string) {
	if launched(env) != "" {
		return
	}
	p, err := ReadProgram(filepath.Join(l.Root, "current"))
	if err == nil && p == nil {
		return
	}
	if err == nil {
		err = l.start(p, args, env)
	}
	l.Log.Error("the OS layer's agent runs instead of the plan's", "error", err)
}

func (l *Launcher) start(p *Program, args, env []string) error {
	notes := record{filepath.Join(l.Root, "state")}
	trial, err := notes.read()
	if err != nil {
		return err
	}
	if !trial.of(p) {
		trial = Trial{SHA256: p.SHA256, Generation: p.Generation}
	}
	if why := trial.spent(); why != "" {
		return fmt.Errorf("agent of generation %d: %s", p.Generation, why)
	}
	if err := l.Check(p); err != nil {
		return fmt.Errorf("agent of generation %d: %w", p.Generation, err)
	}
	file, err := open(filepath.Join(l.Root, "current", p.Path), p)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if !trial.Proven {
		if err := l.Arm(p.Generation, p.trialLimit()); err != nil {
			return fmt.Errorf("agent of generation %d: its trial cannot be bounded: %w", p.Generation, err)
		}
	}
	trial.Starts++
	if err := notes.write(trial); err != nil {
		return err
	}
	// The open file is what was hashed; its name could lead elsewhere by now.
	err = l.Exec(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), args, append(env, marker+"="+p.SHA256))
	return fmt.Errorf("start the agent of generation %d: %w", p.Generation, err)
}

// open opens the program and compares its bytes with its digest.
func open(path string, p *Program) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("agent of generation %d: %w", p.Generation, err)
	}
	hash := sha256.New()
	n, err := io.Copy(hash, file)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("agent of generation %d: %w", p.Generation, err)
	}
	if found := hex.EncodeToString(hash.Sum(nil)); found != p.SHA256 || n != p.Size {
		_ = file.Close()
		return nil, fmt.Errorf("agent of generation %d: expected %d bytes with sha256 %s, found %d with %s", p.Generation, p.Size, p.SHA256, n, found)
	}
	return file, nil
}

// Exec replaces this process by the program at path.
func Exec(path string, args, env []string) error { return unix.Exec(path, args, env) }

func launched(env []string) string {
	for _, entry := range env {
		if sum, ok := strings.CutPrefix(entry, marker+"="); ok {
			return sum
		}
	}
	return ""
}
