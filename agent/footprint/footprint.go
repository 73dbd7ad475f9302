// Package footprint keeps a process small while it rests: it gives back memory that only its
// work needed.
package footprint

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Garbage collection in percent of what lives. At rest little is allocated, so that collecting
// often costs nothing and keeps the heap near what lives; the runtime's smallest heap is 4 MiB
// times the percentage.
const (
	atWork = 100
	atRest = 10
)

// Work is called before the process has something to do.
func Work() { debug.SetGCPercent(atWork) }

// Rest is called when the process mostly waits from now on: it gives freed heap back to the
// kernel, and unmaps the pages of the program itself that were used so far. They are clean
// pages of a file, read-only, so those that are needed again come back from the page cache.
func Rest() {
	debug.SetGCPercent(atRest)
	debug.FreeOSMemory()
	Drop()
}

// Drop unmaps the pages of the program itself that were used so far, as Rest does. The kernel
// maps the neighbours of each page that is touched, so that a process that seldom does little
// would hold all of its program in the end. It takes some ten microseconds.
func Drop() {
	for _, m := range program() {
		// It is advice: an error changes nothing.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.length, syscall.MADV_DONTNEED)
	}
}

type mapping struct{ from, length uintptr }

// program returns the read-only mappings of files, which are those of the program: they are
// there from the start and stay.
var program = sync.OnceValue(func() (out []mapping) {
	file, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// start-end perms offset dev inode path (proc_pid_maps(5))
		fields := strings.Fields(lines.Text())
		const withPath = 6
		if len(fields) < withPath || !strings.HasPrefix(fields[1], "r") || strings.Contains(fields[1], "w") || fields[5] != own {
			continue
		}
		low, high, _ := strings.Cut(fields[0], "-")
		from, err1 := strconv.ParseUint(low, 16, 64)
		to, err2 := strconv.ParseUint(high, 16, 64)
		if err1 == nil && err2 == nil && to > from {
			out = append(out, mapping{uintptr(from), uintptr(to - from)})
		}
	}
	return out
})
