// Package unitlog reads the last lines that a unit wrote to the journal.
package unitlog

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// timeout bounds one reading; a journal that is being rotated can be slow.
const timeout = 5 * time.Second

// Last returns up to lines of the unit's last lines, oldest first. An error is said in the text:
// the log is an addition to a report that has to leave anyway.
func Last(ctx context.Context, unit string, lines int) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat", "--unit", unit, "--lines", strconv.Itoa(lines)).Output()
	if err != nil {
		return fmt.Sprintf("(the journal of %s could not be read: %v)", unit, err)
	}
	return string(out)
}
