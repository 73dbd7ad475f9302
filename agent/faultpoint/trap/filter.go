// Package trap puts a program under a seccomp filter that asks somebody else before each system
// call that changes a file, sends a datagram or starts a program (seccomp_unotify(2)). Only the
// fault build of the agent and the harness's own tests contain it.
package trap

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets of struct seccomp_data (linux/seccomp.h), little endian.
const (
	offNumber = 0
	offArch   = 4
	offArg1   = 24
	offArg2   = 32
)

// writing are the flags with which an open may change something.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC

// always are the calls that are asked about whatever their arguments.
func always() []uint32 {
	return []uint32{
		unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_SENDMSG,
		unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS, unix.SYS_COPY_FILE_RANGE,
		unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINK, unix.SYS_LINKAT,
		unix.SYS_SYMLINK, unix.SYS_SYMLINKAT, unix.SYS_UNLINK, unix.SYS_UNLINKAT, unix.SYS_RMDIR,
		unix.SYS_MKDIR, unix.SYS_MKDIRAT, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE,
		unix.SYS_CHMOD, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2,
		unix.SYS_CHOWN, unix.SYS_FCHOWN, unix.SYS_LCHOWN, unix.SYS_FCHOWNAT, unix.SYS_CREAT,
		unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	}
}

// program is the filter: the calls above and opens that may write go to the listener, all else
// passes.
func program() []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	ret := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	anyBit := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	code := []unix.SockFilter{
		load(offArch), equal(unix.AUDIT_ARCH_X86_64, 1, 0), ret(unix.SECCOMP_RET_ALLOW),
		load(offNumber),
	}
	for _, number := range always() {
		code = append(code, equal(number, 0, 1), ret(unix.SECCOMP_RET_USER_NOTIF))
	}
	return append(code,
		equal(unix.SYS_OPENAT, 0, 4), load(offArg2), anyBit(writing, 0, 1), ret(unix.SECCOMP_RET_USER_NOTIF), ret(unix.SECCOMP_RET_ALLOW),
		equal(unix.SYS_OPEN, 0, 3), load(offArg1), anyBit(writing, 0, 1), ret(unix.SECCOMP_RET_USER_NOTIF), ret(unix.SECCOMP_RET_ALLOW),
	)
}

// install puts the filter on the calling thread and returns the listener's descriptor.
func install() (int, error) {
	code := program()
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	// Once a call was taken up, only death ends its wait: the runtime's own signals would
	// otherwise have it begin again, and it would be counted twice.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, fmt.Errorf("install the seccomp filter (are we root, is this Linux 5.19 or later?): %w", errno)
	}
	return int(fd), nil
}
