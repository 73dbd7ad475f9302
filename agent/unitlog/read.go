package unitlog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Line is one line of the journal (systemd.journal-fields(7)).
type Line struct {
	Time     time.Time `json:"time"`
	Unit     string    `json:"unit"`
	By       string    `json:"by"` // who wrote it: the program's name
	PID      int       `json:"pid,omitempty"`
	Priority int       `json:"priority"` // syslog's: 3 is an error, 4 a warning, 6 information
	Message  string    `json:"message"`
	// Exit is set in systemd's line about the end of the unit's main process.
	Exit *Exit `json:"exit,omitempty"`
	// Result is set in systemd's line about a failure of the unit: oom-kill, watchdog, ….
	Result string `json:"result,omitempty"`
}

// Exit is how a main process ended.
type Exit struct {
	Kind   string `json:"kind"`   // exited, killed or dumped
	Status string `json:"status"` // a number, or a signal's name without SIG
}

// Query says which lines are wanted.
type Query struct {
	Units []string  // none: the whole journal
	Lines int       // the last ones, at most; 0 for no bound
	Since time.Time // zero for no bound
}

// maxLine bounds one line of journalctl's output; the journal itself cuts a service's lines at 48 KiB.
const maxLine = 1 << 20

// Read returns lines of the journal, the oldest first.
func Read(ctx context.Context, q Query) ([]Line, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	args := []string{"--quiet", "--no-pager", "--output=json", "--all"}
	for _, unit := range q.Units {
		args = append(args, "--unit="+unit)
	}
	if q.Lines > 0 {
		args = append(args, "--lines="+strconv.Itoa(q.Lines))
	}
	if !q.Since.IsZero() {
		args = append(args, fmt.Sprintf("--since=@%d", q.Since.Unix()))
	}
	cmd := exec.CommandContext(ctx, "journalctl", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = errors.New(said)
		}
		return nil, fmt.Errorf("read the journal of %s: %w", strings.Join(q.Units, ", "), err)
	}
	return parse(out)
}

// parse reads journalctl's JSON, one object a line.
func parse(raw []byte) ([]Line, error) {
	var lines []Line
	scanner := bufio.NewScanner(bytes.NewReader(raw))
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		var entry map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &entry); err != nil {
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		lines = append(lines, line(entry))
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return lines, nil
}

func line(entry map[string]any) Line {
	l := Line{By: field(entry, "SYSLOG_IDENTIFIER"), Message: field(entry, "MESSAGE"), Result: field(entry, "UNIT_RESULT")}
	// systemd's own lines are about another unit than their writer's.
	if l.Unit = field(entry, "UNIT"); l.Unit == "" {
		l.Unit = field(entry, "_SYSTEMD_UNIT")
	}
	if usec, err := strconv.ParseInt(field(entry, "__REALTIME_TIMESTAMP"), 10, 64); err == nil {
		l.Time = time.UnixMicro(usec).UTC()
	}
	l.PID, _ = strconv.Atoi(field(entry, "_PID"))
	const information = 6
	var err error
	if l.Priority, err = strconv.Atoi(field(entry, "PRIORITY")); err != nil {
		l.Priority = information
	}
	if kind := field(entry, "EXIT_CODE"); kind != "" {
		l.Exit = &Exit{Kind: kind, Status: field(entry, "EXIT_STATUS")}
	}
	return l
}

// field is a field's text; bytes that are no text come as a list of numbers, a field that is
// there twice as a list of texts, of which the first counts.
func field(entry map[string]any, name string) string {
	switch value := entry[name].(type) {
	case string:
		return value
	case []any:
		if len(value) == 0 {
			return ""
		}
		if text, ok := value[0].(string); ok {
			return text
		}
		raw := make([]byte, 0, len(value))
		for _, one := range value {
			number, ok := one.(float64)
			if !ok || number < 0 || number > 255 {
				return ""
			}
			raw = append(raw, byte(number))
		}
		return strings.ToValidUTF8(string(raw), "?")
	default:
		return ""
	}
}
