package conditions

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/protocol"
)

// TypeDisk is the type of Disk's condition.
const TypeDisk = "DiskPressure"

// A file system is short below the first share of free space or inodes, in percent, and well
// again above the second. kubelet evicts pods below 5 %; the warning should come before.
const (
	diskShort = 10
	diskWell  = 15
)

// Disk watches the space and the inodes of the file system that holds Path.
type Disk struct {
	Path string
	// Stat is statfs(2); tests put theirs here. unix.Statfs when nil.
	Stat func(string, *unix.Statfs_t) error

	short bool
}

// Every implements Source.
func (d *Disk) Every() time.Duration { return 30 * time.Second }

// Look implements Source.
func (d *Disk) Look(context.Context) []protocol.Condition {
	stat := d.Stat
	if stat == nil {
		stat = unix.Statfs
	}
	var fs unix.Statfs_t
	if err := stat(d.Path, &fs); err != nil {
		return []protocol.Condition{finding(TypeDisk, Unknown, "Unreadable", "ask for the free space of %s: %v", d.Path, err)}
	}
	return []protocol.Condition{d.judge(&fs)}
}

func (d *Disk) judge(fs *unix.Statfs_t) protocol.Condition {
	bound := uint64(diskShort)
	if d.short {
		bound = diskWell
	}
	space, inodes := percent(fs.Bavail, fs.Blocks), percent(fs.Ffree, fs.Files)
	figures := fmt.Sprintf("%s has %d MiB (%d %%) and %d inodes (%d %%) free", d.Path, fs.Bavail*uint64(fs.Bsize)>>20, space, fs.Ffree, inodes)
	switch {
	case space < bound:
		d.short = true
		return finding(TypeDisk, True, "SpaceLow", "%s; free some, or the next plan cannot be pulled", figures)
	case inodes < bound:
		d.short = true
		return finding(TypeDisk, True, "InodesLow", "%s; remove files, or the next plan cannot be staged", figures)
	default:
		d.short = false
		return finding(TypeDisk, False, "Enough", "%s", figures)
	}
}

// percent is the part of the whole; file systems without a bound (0) count as empty.
func percent(part, whole uint64) uint64 {
	if whole == 0 {
		return 100
	}
	return part * 100 / whole
}
