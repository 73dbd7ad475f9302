// Package unitlog reads the last lines about a unit from the journal.
package unitlog

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timeout bounds one reading; a journal that is being rotated can be slow.
const timeout = 5 * time.Second

// Last returns up to lines of the unit's last lines, oldest first. An error is said in the text:
// the log is an addition to a report that has to leave anyway.
func Last(ctx context.Context, unit string, lines int) string {
	out, err := read(ctx, lines, "--unit", unit)
	if err != nil {
		return fmt.Sprintf("(the journal of %s could not be read: %v)", unit, err)
	}
	return out
}

// LastWords returns the latest line, of the unit's processes alone, that sounds like the cause of
// their end, or just their latest line; "" when there is none to be read.
func LastWords(ctx context.Context, unit string) string {
	const looked = 40
	// What systemd says about the unit is another's line with the unit's name in a field.
	out, err := read(ctx, looked, "_SYSTEMD_UNIT="+unit)
	if err != nil {
		return ""
	}
	return cause(out)
}

func read(ctx context.Context, lines int, match ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	args := append([]string{"--quiet", "--no-pager", "--output=cat", "--lines", strconv.Itoa(lines)}, match...)
	out, err := exec.CommandContext(ctx, "journalctl", args...).Output()
	return string(out), err
}

// cause picks a line of a log.
func cause(log string) string {
	const limit = 400 // bytes of the line
	sounds := regexp.MustCompile(`(?i)\b(error|err|fatal|fail(ed|ure)?|panic|unknown|invalid|refused|denied|cannot|no such|not defined)\b`)
	var last, telling string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		last = line
		if sounds.MatchString(line) {
			telling = line
		}
	}
	if telling == "" {
		telling = last
	}
	if len(telling) > limit {
		telling = strings.ToValidUTF8(telling[:limit], "") + "…"
	}
	return telling
}
