package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
)

// Status codes of our own, as shells have them.
const (
	StatusTimeout = 124 // ended after its time
	StatusUnknown = 125 // its end is not known
	StatusRefused = 126 // it cannot be run
	StatusNoHook  = 127 // nothing is there to run its group
)

// Groups that need no hook.
const (
	groupScript  = "script"
	groupSlipway = "slipway"
)

// Directories of heat-config (heat-agents, hook-script.py, and Magnum's variant of it).
const (
	WorkDir    = "/var/lib/heat-config/heat-config-script"
	OutputsDir = "/var/run/heat-config/heat-config-script"
	LogDir     = "/var/log/heat-config/heat-config-script"
)

// HookDirs are where hook executables are looked for, in this order, after $HEAT_CONFIG_HOOKS.
func HookDirs() []string {
	dirs := []string{"/usr/libexec/heat-config/hooks", "/var/lib/heat-config/hooks"}
	if first := os.Getenv("HEAT_CONFIG_HOOKS"); first != "" {
		dirs = append([]string{first}, dirs...)
	}
	return dirs
}

// DefaultTimeout is a deployment's time when its options have none. It is less than the hour
// that Heat gives a stack by default, so that the stack fails with our reason and not without one.
const DefaultTimeout = 50 * time.Minute

// grace is between asking a process to end and killing it.
const grace = 10 * time.Second

// Runner runs deployments.
type Runner struct {
	WorkDir, OutputsDir, LogDir string
	HookDirs                    []string
	Environ                     []string      // what every process gets; Environ when nil
	Timeout                     time.Duration // DefaultTimeout when zero
	Grace                       time.Duration // 10 s when zero
	// Plans applies the plans of the group slipway; without it the group is not known.
	Plans PlanApplier
	// Spoke is told how many bytes a process has written; nil for nobody.
	Spoke func(bytes int)
}

// Run runs a deployment, whose component is resolved, and returns its result, failures included.
// An error means that it is not known how it ended, or that it could not be begun for a reason
// of this machine: ctx has ended, the disk is full.
func (r *Runner) Run(ctx context.Context, d metadata.Deployment) (notify.Result, error) {
	limit := time.Duration(d.Options.Timeout)
	if limit == 0 {
		limit = r.Timeout
	}
	if limit == 0 {
		limit = DefaultTimeout
	}
	switch d.Group {
	case groupScript:
		return r.script(ctx, d, limit)
	case groupSlipway:
		return r.plan(ctx, d, limit)
	}
	hook, err := r.find(d.Group)
	if err != nil {
		return notify.Failure(StatusNoHook, err.Error()), nil
	}
	return r.hook(ctx, d, hook, limit)
}

// find returns the executable of a group. Only the letters, digits, - and _ of its name count.
func (r *Runner) find(group string) (string, error) {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			return c
		}
		return -1
	}, group)
	if name == "" {
		return "", fmt.Errorf("group %q is not known", group)
	}
	for _, dir := range r.HookDirs {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			continue
		case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
			return "", fmt.Errorf("group %q: the hook %s cannot be executed", group, path)
		case info.Mode()&0o002 != 0:
			return "", fmt.Errorf("group %q: the hook %s can be written by everybody, so it is not run", group, path)
		}
		return path, nil
	}
	known := []string{groupScript}
	if r.Plans != nil {
		known = append(known, groupSlipway)
	}
	return "", fmt.Errorf("group %q is not known: it is none of %s, and there is no hook %s in %s",
		group, strings.Join(known, ", "), name, strings.Join(r.HookDirs, ", "))
}

// private are variables by which systemd speaks to the agent, and nobody else.
var private = [...]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"}

// Environ is the agent's environment as its children get it: without what is only for the agent,
// with the HOME and PATH that systemd leaves out, and with the locale that heat-container-agent
// set (magnum, dockerfiles/heat-container-agent/launch).
func Environ() []string {
	var out []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.Contains(private[:], name) {
			out = append(out, pair)
		}
	}
	for name, value := range map[string]string{"HOME": "/root", "LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} {
		if os.Getenv(name) == "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}

func (r *Runner) environ() []string {
	if r.Environ != nil {
		return slices.Clone(r.Environ)
	}
	return Environ()
}

// ended makes the result of a process that ran too long or not at all.
func ended(out outcome, limit time.Duration, path string) (notify.Result, bool) {
	switch {
	case out.timedOut:
		result := notify.Failure(StatusTimeout, fmt.Sprintf("it was ended after its time limit of %s (set options.timeout, in seconds, for another)", limit))
		result.Stdout, result.Stderr = out.stdout, out.stderr+result.Stderr
		return result, true
	case out.notRun != nil:
		text := fmt.Sprintf("cannot execute %s: %v", filepath.Base(path), out.notRun)
		if errors.Is(out.notRun, errExecFormat) {
			text += " (does it begin with #! and an interpreter?)"
		}
		return notify.Failure(StatusRefused, text), true
	}
	return notify.Result{}, false
}
