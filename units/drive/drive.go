package drive

import (
	"context"
	"fmt"
	"time"
)

// State is what systemd says about one unit.
type State struct {
	Load   string // loaded, not-found, masked, error
	Active string // active, reloading, inactive, failed, activating, deactivating
	Sub    string // running, exited, auto-restart, start, dead, …
	// Queued says that a job for the unit is under way or waits for others; States tells it.
	Queued bool
}

// Status is State with what a person wants to know about a service.
type Status struct {
	State
	Result   string // success, exit-code, signal, timeout, watchdog, start-limit-hit, …
	ExitCode int32  // of the main process
	ExitKind int32  // siginfo's si_code: 1 exited, 2 killed, 3 dumped core
	Restarts uint32 // by systemd, since the unit was last started by somebody
	MainPID  uint32
	Type     string    // simple, notify, oneshot, …; empty when the unit is no service
	Text     string    // what the service said of itself last (sd_notify(3), STATUS=)
	Since    time.Time // of the last change of Active
	Started  time.Time // of the main process, the last one when none runs
	Ended    time.Time // of the last main process that ended
	Fragment string    // path of the unit file that is loaded
	DropIns  []string  // paths of the drop-ins that are loaded
	// Stale is set when the unit file was changed on disk after systemd had loaded it.
	Stale bool
	// Requires and After name the units that it needs, and that it is ordered after.
	Requires, After []string
}

// Action is what a job does.
type Action string

// Actions of jobs.
const (
	Start   Action = "start"
	Stop    Action = "stop"
	Restart Action = "restart"
)

// Job asks for one action on one unit.
type Job struct {
	Unit   string
	Action Action
}

// JobError is a job that systemd ended with another result than done.
type JobError struct {
	Job    Job
	Result string // failed, dependency, timeout, canceled, skipped
}

func (e *JobError) Error() string {
	return fmt.Sprintf("%s %s: systemd's job ended as %q", e.Job.Action, e.Job.Unit, e.Result)
}

// Driver is what the agent asks of systemd.
type Driver interface {
	// Reload reads all unit files again (and runs the generators).
	Reload(ctx context.Context) error
	// Queue queues all jobs in the order given and returns once systemd has accepted them. The
	// results come on the channel, one for each job as it ends or as ctx does, nil for done; then it is
	// closed. It has room for all of them, so nobody has to read it.
	Queue(ctx context.Context, jobs []Job) (<-chan error, error)
	// States returns the states of the units named; an unknown unit is not-found and inactive.
	States(ctx context.Context, units []string) (map[string]State, error)
	// Status returns the details of one unit.
	Status(ctx context.Context, unit string) (Status, error)
	// Changed returns a channel that is closed at the next change of any unit's state.
	Changed() <-chan struct{}
}
