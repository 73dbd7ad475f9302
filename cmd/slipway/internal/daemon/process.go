package daemon

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running slipwayd.
type process struct {
	pid  int
	args []string // without argv[0]
}

// find returns the running daemons with that program name and state directory. More than one
// is possible only when somebody started another by hand.
func find(proc, program, state string) ([]process, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", program, err)
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if args, ok := match(proc, pid, program, state); ok {
			found = append(found, process{pid, args})
		}
	}
	return found, nil
}

// match reports whether the process is `program serve … --state state …` and returns its
// arguments. A process that is just ending has an empty command line and does not match.
func match(proc string, pid int, program, state string) ([]string, bool) {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	if err != nil || len(b) == 0 {
		return nil, false
	}
	var argv []string
	for _, a := range bytes.Split(bytes.TrimSuffix(b, []byte{0}), []byte{0}) {
		argv = append(argv, string(a))
	}
	if filepath.Base(argv[0]) != program || len(argv) < 2 || argv[1] != "serve" {
		return nil, false
	}
	i := slices.Index(argv, "--state")
	if i < 0 || i+1 >= len(argv) || argv[i+1] != state {
		return nil, false
	}
	return argv[1:], true
}

// runs reports whether the process executes the same bytes as the file binary.
func (p process) runs(binary string) bool {
	a, err := digest(fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		return false
	}
	b, err := digest(binary)
	return err == nil && a == b
}

// olderThan reports whether a file was changed after the process had started. The kernel
// tells the start by the second, so a change in the very second of the start goes unseen.
func (p process) olderThan(files []string) bool {
	started, err := p.started()
	if err != nil {
		return false
	}
	for _, f := range files {
		if st, err := os.Stat(f); err == nil && st.ModTime().After(started.Add(time.Second)) {
			return true
		}
	}
	return false
}

// ticks is the unit of times in /proc: USER_HZ, which is 100 on every platform of Go's.
const ticks = 100

// started returns when the process was started: proc_pid_stat(5), field 22, after the boot.
func (p process) started() (time.Time, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return time.Time{}, err
	}
	// The name, field 2, is in parentheses and may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const after = 22 - 3 // fields 1 and 2 are before the parenthesis
	if len(fields) <= after {
		return time.Time{}, fmt.Errorf("process %d: its stat has %d fields", p.pid, len(fields))
	}
	since, err := strconv.ParseInt(string(fields[after]), 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	system, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, err
	}
	for _, l := range bytes.Split(system, []byte("\n")) {
		if text, ok := bytes.CutPrefix(l, []byte("btime ")); ok {
			boot, err := strconv.ParseInt(string(text), 10, 64)
			if err != nil {
				return time.Time{}, err
			}
			return time.Unix(boot, 0).Add(time.Duration(since) * time.Second / ticks), nil
		}
	}
	return time.Time{}, errors.New("/proc/stat does not say when this machine was booted")
}

func digest(name string) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// open returns a handle of exactly the process that match saw: its pid cannot have been
// reused, because it is checked again once the handle is held.
func (p process) open(program, state string) (fd int, alive bool, err error) {
	fd, err = unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, false, nil
	}
	if err != nil {
		return -1, false, fmt.Errorf("open process %d: %w", p.pid, err)
	}
	if _, ok := match("/proc", p.pid, program, state); !ok {
		unix.Close(fd)
		return -1, false, nil
	}
	return fd, true, nil
}

// exists reports whether the file is there.
func exists(name string) bool {
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
