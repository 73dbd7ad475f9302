package act

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
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

// Files in which the kernel says which boot this is; variables of a call, so that tests have their own.
const (
	bootIDFile = "/proc/sys/kernel/random/boot_id"
	initFile   = "/proc/1/stat"
)

// CurrentBoot identifies the current boot: by the kernel's random id, and by when process 1 began,
// because a container keeps its host's id.
func CurrentBoot() (string, error) { return bootOf(bootIDFile, initFile) }

func bootOf(idFile, statFile string) (string, error) {
	id, err := os.ReadFile(idFile)
	if err != nil {
		return "", fmt.Errorf("identify the boot: %w", err)
	}
	stat, err := os.ReadFile(statFile)
	if err != nil {
		return "", fmt.Errorf("identify the boot: %w", err)
	}
	// The program's name, in brackets, may hold spaces; field 22 is the start (proc_pid_stat(5)).
	const start = 22 - 3
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= start {
		return "", fmt.Errorf("identify the boot: %s has only %d fields", statFile, len(fields))
	}
	return strings.TrimSpace(string(id)) + "/" + fields[start], nil
}
