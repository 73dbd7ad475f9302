package act

import (
	"context"
	"fmt"
	"time"

	"slipway.build/slipway/units/drive"
)

// Reboot restarts the machine. What it returns is never a success: that is told by the agent that
// finds itself in another boot.
type Reboot struct {
	Systemd drive.Driver
	// Flush delivers what is in the outbox, so that it is seen who asked for the reboot.
	Flush func(context.Context) error
}

// rebootTarget is what systemctl(1) reboot starts.
const rebootTarget = "reboot.target"

// flushTime bounds the last words before the machine goes down.
const flushTime = 3 * time.Second

// Do implements Doer.
func (d *Reboot) Do(ctx context.Context, _ Job) (Outcome, error) {
	last, cancel := context.WithTimeout(ctx, flushTime)
	_ = d.Flush(last) // what does not leave now leaves after the boot
	cancel()
	if _, err := d.Systemd.Queue(ctx, []drive.Job{{Unit: rebootTarget, Action: drive.Start}}); err != nil {
		return Outcome{}, fmt.Errorf("reboot: %w", err)
	}
	<-ctx.Done() // systemd stops this program
	return Outcome{}, fmt.Errorf("the machine does not go down: %w", context.Cause(ctx))
}
