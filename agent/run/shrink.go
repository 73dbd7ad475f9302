package run

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// shrink gives back what only the start needed: freed heap, and the pages of our own program
// that were mapped on the way. They are clean pages of a file, read-only, so the few that are
// needed again come back from the page cache. It makes a supervisor about half as large.
func shrink() {
	debug.FreeOSMemory()
	file, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// start-end perms offset dev inode path (proc_pid_maps(5))
		fields := strings.Fields(lines.Text())
		const withPath = 6
		if len(fields) < withPath || !strings.HasPrefix(fields[1], "r") || strings.Contains(fields[1], "w") || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		low, high, _ := strings.Cut(fields[0], "-")
		from, err1 := strconv.ParseUint(low, 16, 64)
		to, err2 := strconv.ParseUint(high, 16, 64)
		if err1 != nil || err2 != nil || to <= from {
			continue
		}
		drop(uintptr(from), uintptr(to-from))
	}
}

// drop tells the kernel that pages may go; it is advice, so an error changes nothing.
func drop(from, length uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, length, syscall.MADV_DONTNEED)
}
