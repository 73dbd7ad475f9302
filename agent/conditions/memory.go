package conditions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/agent/protocol"
)

// TypeMemory is the type of Memory's condition.
const TypeMemory = "MemoryPressure"

// Bounds of memory pressure. Stalls are the share of the last minute in which something waited
// for memory (PSI's "some avg60", in percent); systemd-oomd acts at 60 %, a node suffers long
// before. Free is what processes may still take, in percent of all.
const (
	stallsMuch, stallsFew  = 10, 5
	freeLittle, freePlenty = 5, 8
)

// Memory watches how much memory is left, and how much time is lost waiting for it.
type Memory struct {
	// Root is where proc and sys are; "/" when empty.
	Root string

	short bool
}

// Every implements Source.
func (m *Memory) Every() time.Duration { return 30 * time.Second }

// Look implements Source.
func (m *Memory) Look(context.Context) []protocol.Condition {
	free, total, err := m.free()
	if err != nil {
		return []protocol.Condition{finding(TypeMemory, Unknown, "Unreadable", "%v", err)}
	}
	stalls, err := m.stalls()
	if err != nil {
		return []protocol.Condition{finding(TypeMemory, Unknown, "Unreadable", "%v", err)}
	}
	return []protocol.Condition{m.judge(free, total, stalls)}
}

func (m *Memory) judge(free, total uint64, stalls float64) protocol.Condition {
	freeBound, stallBound := uint64(freeLittle), float64(stallsMuch)
	if m.short {
		freeBound, stallBound = freePlenty, stallsFew
	}
	figures := fmt.Sprintf("%d of %d MiB can still be taken (%d %%)", free>>20, total>>20, percent(free, total))
	if stalls >= 0 {
		figures += fmt.Sprintf(", %.1f %% of the last minute was spent waiting for memory", stalls)
	}
	switch {
	case percent(free, total) < freeBound:
		m.short = true
		return finding(TypeMemory, True, "MemoryLow", "%s; the kernel will soon kill what takes most", figures)
	case stalls >= stallBound:
		m.short = true
		return finding(TypeMemory, True, "Stalls", "%s; move pods away or give the node more", figures)
	default:
		m.short = false
		return finding(TypeMemory, False, "Enough", "%s", figures)
	}
}

func (m *Memory) path(name string) string { return filepath.Join("/", m.Root, name) }

// stalls returns PSI's some avg60 of the node: of its cgroup when it is one (a container), else
// of the machine; -1 when the kernel does not tell.
func (m *Memory) stalls() (float64, error) {
	for _, name := range []string{"sys/fs/cgroup/memory.pressure", "proc/pressure/memory"} {
		raw, err := os.ReadFile(m.path(name))
		if err != nil {
			continue // it is optional everywhere; a kernel with psi=0 fails only the read
		}
		for _, field := range strings.Fields(strings.SplitN(string(raw), "\n", 2)[0]) {
			if text, ok := strings.CutPrefix(field, "avg60="); ok {
				value, err := strconv.ParseFloat(text, 64)
				if err != nil {
					return 0, fmt.Errorf("%s: avg60 is %q", m.path(name), text)
				}
				return value, nil
			}
		}
		return 0, fmt.Errorf("%s: no avg60 in its first line", m.path(name))
	}
	return -1, nil
}

// free returns what can still be taken and what there is in all, in bytes: of the machine, or
// of the node's cgroup when that is bounded and has less.
func (m *Memory) free() (free, total uint64, err error) {
	info, err := m.table("proc/meminfo", "MemAvailable:", "MemTotal:")
	if err != nil {
		return 0, 0, err
	}
	const kib = 1 << 10
	free, total = info["MemAvailable:"]*kib, info["MemTotal:"]*kib
	if total == 0 {
		return 0, 0, fmt.Errorf("%s: no MemTotal", m.path("proc/meminfo"))
	}
	for _, group := range []struct{ limit, usage, stat, cache string }{
		{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat", "inactive_file"},
		{"sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes", "sys/fs/cgroup/memory/memory.stat", "total_inactive_file"},
	} {
		limit, err := m.number(group.limit)
		if err != nil || limit >= total {
			continue // no such hierarchy, or not bounded
		}
		usage, err := m.number(group.usage)
		if err != nil {
			return 0, 0, err
		}
		stat, err := m.table(group.stat, group.cache)
		if err != nil {
			return 0, 0, err
		}
		// What the group may still take beside what it can drop at once.
		left := limit - min(limit, usage-min(usage, stat[group.cache]))
		if left < free {
			return left, limit, nil
		}
	}
	return free, total, nil
}

// number reads a file that holds one number; "max" is more than any.
func (m *Memory) number(name string) (uint64, error) {
	raw, err := os.ReadFile(m.path(name))
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(raw))
	if text == "max" {
		return 1<<64 - 1, nil
	}
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no number", m.path(name), text)
	}
	return value, nil
}

// table reads the rows with these names of a file of names and numbers.
func (m *Memory) table(name string, rows ...string) (map[string]uint64, error) {
	file, err := os.Open(m.path(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	out := map[string]uint64{}
	lines := bufio.NewScanner(io.LimitReader(file, 64<<10))
	for lines.Scan() && len(out) < len(rows) {
		for _, row := range rows {
			rest, ok := strings.CutPrefix(lines.Text(), row)
			if fields := strings.Fields(rest); ok && len(fields) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
				if out[row], err = strconv.ParseUint(fields[0], 10, 64); err != nil {
					return nil, fmt.Errorf("%s: %s is %q", m.path(name), row, fields[0])
				}
			}
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return nil, fmt.Errorf("%s: %w", m.path(name), err)
	}
	return out, nil
}
