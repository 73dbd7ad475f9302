package tracer

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Call is one system call that the traced program is about to make.
type Call struct {
	PID  int // the process, not the thread, as this process sees it
	Name string
	// Path is the file that it is about, as the program sees it; From is the other one of rename
	// and link, Target the text of a symbolic link.
	Path, From, Target string
	// FD is the descriptor of calls on open files, -1 otherwise.
	FD     int
	Flags  int   // of open, fallocate and unlinkat
	Mode   int   // of open, mkdir, chmod
	Offset int64 // of pwrite, write, truncate
	Length int64 // of fallocate
	Data   []byte
}

// Tree reports whether the call changes or syncs something at or below dir.
func (c *Call) Tree(dir string) bool {
	return c.Path == dir || strings.HasPrefix(c.Path, dir+"/")
}

func (c *Call) String() string {
	if c.From != "" {
		return fmt.Sprintf("%s %s -> %s", c.Name, c.From, c.Path)
	}
	return c.Name + " " + c.Path
}

// decode reads what a notification is about.
func decode(n *notification) (*Call, error) {
	p, err := processOf(int(n.PID))
	if err != nil {
		return nil, err
	}
	a := n.Data.Args
	c := &Call{PID: p.leader, FD: -1}
	at := func(dirfd uint64, name uint64) string { return p.path(int(int32(dirfd)), name) }
	here := uint64(0xffffff9c) // AT_FDCWD as an argument
	onFD := func(name string) {
		c.Name, c.FD = name, int(int32(a[0]))
		c.Path = p.fd(c.FD)
	}
	switch n.Data.Number {
	case unix.SYS_OPENAT:
		c.Name, c.Path, c.Flags, c.Mode = "open", at(a[0], a[1]), int(a[2]), int(a[3])
	case unix.SYS_OPEN:
		c.Name, c.Path, c.Flags, c.Mode = "open", at(here, a[0]), int(a[1]), int(a[2])
	case unix.SYS_CREAT:
		c.Name, c.Path, c.Flags, c.Mode = "open", at(here, a[0]), unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, int(a[1])
	case unix.SYS_WRITE:
		onFD("write")
		if strings.HasPrefix(c.Path, "/") {
			c.Offset = p.offset(c.FD)
		}
		c.Data, err = p.bytes(a[1], int(a[2]))
	case unix.SYS_PWRITE64:
		onFD("write")
		c.Offset = int64(a[3])
		c.Data, err = p.bytes(a[1], int(a[2]))
	case unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_COPY_FILE_RANGE:
		onFD("writev")
		if n.Data.Number == unix.SYS_COPY_FILE_RANGE {
			c.Name, c.FD = "copy", int(int32(a[2]))
			c.Path = p.fd(c.FD)
		}
	case unix.SYS_SENDMSG:
		onFD("send")
		c.Data, err = p.message(a[1])
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		onFD("sync")
	case unix.SYS_SYNCFS:
		onFD("syncfs")
	case unix.SYS_FTRUNCATE:
		onFD("truncate")
		c.Offset = int64(a[1])
	case unix.SYS_TRUNCATE:
		c.Name, c.Path, c.Offset = "truncate", at(here, a[0]), int64(a[1])
	case unix.SYS_FALLOCATE:
		onFD("fallocate")
		c.Flags, c.Offset, c.Length = int(a[1]), int64(a[2]), int64(a[3])
	case unix.SYS_FCHMOD:
		onFD("chmod")
		c.Mode = int(a[1])
	case unix.SYS_CHMOD:
		c.Name, c.Path, c.Mode = "chmod", at(here, a[0]), int(a[1])
	case unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2:
		c.Name, c.Path, c.Mode = "chmod", at(a[0], a[1]), int(a[2])
	case unix.SYS_FCHOWN:
		onFD("chown")
	case unix.SYS_CHOWN, unix.SYS_LCHOWN:
		c.Name, c.Path = "chown", at(here, a[0])
	case unix.SYS_FCHOWNAT:
		c.Name, c.Path = "chown", at(a[0], a[1])
	case unix.SYS_RENAME:
		c.Name, c.From, c.Path = "rename", at(here, a[0]), at(here, a[1])
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		c.Name, c.From, c.Path = "rename", at(a[0], a[1]), at(a[2], a[3])
	case unix.SYS_LINK:
		c.Name, c.From, c.Path = "link", at(here, a[0]), at(here, a[1])
	case unix.SYS_LINKAT:
		c.Name, c.From, c.Path = "link", at(a[0], a[1]), at(a[2], a[3])
	case unix.SYS_SYMLINK:
		c.Name, c.Target, c.Path = "symlink", p.text(a[0]), at(here, a[1])
	case unix.SYS_SYMLINKAT:
		c.Name, c.Target, c.Path = "symlink", p.text(a[0]), at(a[1], a[2])
	case unix.SYS_UNLINK:
		c.Name, c.Path = "unlink", at(here, a[0])
	case unix.SYS_RMDIR:
		c.Name, c.Path, c.Flags = "rmdir", at(here, a[0]), unix.AT_REMOVEDIR
	case unix.SYS_UNLINKAT:
		c.Name, c.Path, c.Flags = "unlink", at(a[0], a[1]), int(a[2])
		if c.Flags&unix.AT_REMOVEDIR != 0 {
			c.Name = "rmdir"
		}
	case unix.SYS_MKDIR:
		c.Name, c.Path, c.Mode = "mkdir", at(here, a[0]), int(a[1])
	case unix.SYS_MKDIRAT:
		c.Name, c.Path, c.Mode = "mkdir", at(a[0], a[1]), int(a[2])
	case unix.SYS_EXECVE:
		c.Name, c.Path = "exec", at(here, a[0])
	case unix.SYS_EXECVEAT:
		c.Name, c.Path = "exec", at(a[0], a[1])
	default:
		return nil, fmt.Errorf("system call %d is trapped and unknown", n.Data.Number)
	}
	return c, err
}
