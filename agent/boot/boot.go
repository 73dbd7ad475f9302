// Package boot tells the boots of a node apart.
package boot

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Files in which the kernel says which boot this is.
const (
	idFile   = "/proc/sys/kernel/random/boot_id"
	initFile = "/proc/1/stat"
)

// ID identifies the current boot: by the kernel's random id, and by when process 1 began, because a
// container keeps its host's id.
func ID() (string, error) { return of(idFile, initFile) }

func of(idFile, statFile string) (string, error) {
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
		return "", fmt.Errorf("identify the boot: %s has only %d fields after the program's name, want more than %d", statFile, len(fields), start)
	}
	return strings.TrimSpace(string(id)) + "/" + fields[start], nil
}
