package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// RunOnOwn makes a cluster of one master and two workers in Options.State, runs the tests on it
// and takes everything away again, unless keep is set.
func RunOnOwn(ctx context.Context, o Options, keep bool) (r *Result, err error) {
	if o, err = o.complete(); err != nil {
		return nil, err
	}
	if _, err := Prepare(ctx, o); err != nil { // before anything is made on the machine
		return nil, err
	}
	if !keep {
		defer func() { err = errors.Join(err, o.down()) }()
	}
	o.say("cluster", "makes a cluster of one master and two workers")
	begun := time.Now()
	if err := o.system(ctx, "up", "--masters", "1", "--nodes", "2"); err != nil {
		return nil, err
	}
	o.say("cluster", "it is complete after %.0f s", time.Since(begun).Seconds())
	return Run(ctx, o)
}

// downLimit bounds the taking away, which also has to happen when the run was cancelled.
const downLimit = 10 * time.Minute

func (o Options) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), downLimit)
	defer cancel()
	o.say("cluster", "takes the cluster away")
	return o.system(ctx, "down")
}

// system runs one of the commands that take long, and shows what it says when it fails.
func (o Options) system(ctx context.Context, args ...string) error {
	if o.State != "" {
		args = append(args, "--state", o.State)
	}
	cmd := exec.CommandContext(ctx, o.Slipway, args...)
	cmd.Env = append(os.Environ(), "SLIPWAY_ENDPOINT=")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if out, err := cmd.CombinedOutput(); err != nil {
		if len(out) > 4000 {
			out = out[len(out)-4000:]
		}
		return fmt.Errorf("slipway %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
