package launch

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"time"

	"slipway.build/slipway/controlplane/cloud/local/launch/cgroup"
)

// Spec is a command to start.
type Spec struct {
	// Name is the name of its cgroup, and of its unit less ".service": letters, digits, dashes.
	Name    string
	Command []string // absolute path first
	Log     string   // absolute path of a file that standard output and error are appended to
	Limits  cgroup.Limits
	// RestartOn is an exit status that means: start the command again (systemd-nspawn's 133
	// for a reboot). Zero means none.
	RestartOn int
}

// Launcher starts, stops and finds commands by name.
type Launcher interface {
	// Start returns as soon as the command runs. It is an error if one of that name runs.
	Start(ctx context.Context, spec Spec) error
	// Stop sends SIGTERM, waits at most grace, kills what is left and removes the cgroup. What
	// is not there is stopped. With grace 0 it kills at once.
	Stop(ctx context.Context, name string, grace time.Duration) error
	Running(ctx context.Context, name string) (bool, error)
	// Processes returns the ids of all processes of the command, sorted.
	Processes(ctx context.Context, name string) ([]int, error)
	// List returns the names that begin with prefix and are running or have left something behind.
	List(ctx context.Context, prefix string) ([]string, error)
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)

func (s Spec) validate() error {
	switch {
	case !nameForm.MatchString(s.Name):
		return fmt.Errorf("launch: %q is no name of letters, digits and dashes", s.Name)
	case len(s.Command) == 0 || s.Command[0] == "" || s.Command[0][0] != '/':
		return fmt.Errorf("launch %s: the command has no absolute path", s.Name)
	case s.Log == "" || s.Log[0] != '/':
		return fmt.Errorf("launch %s: the log file has no absolute path", s.Name)
	}
	return nil
}

// Detect returns the launcher for this machine: transient units where systemd is PID 1.
func Detect() (Launcher, error) {
	tree, err := cgroup.Discover()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return &Systemd{Tree: tree}, nil
	}
	return &Direct{Tree: tree}, nil
}
