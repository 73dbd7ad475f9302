package tracer

import (
	"errors"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Verdict is what becomes of a call. Its zero value lets the call pass.
type Verdict struct {
	Errno unix.Errno
	// Kill has Victim killed, the caller when it is 0, and the call never happens.
	Kill   bool
	Victim int
	// Hold, when not nil, is waited for before the rest of the verdict.
	Hold <-chan struct{}
}

// Handler decides about the calls of one program. It is called from one goroutine.
type Handler func(*Call) Verdict

// notification is struct seccomp_notif (linux/seccomp.h).
type notification struct {
	ID    uint64
	PID   uint32
	Flags uint32
	Data  struct {
		Number      int32
		Arch        uint32
		Instruction uint64
		Args        [6]uint64
	}
}

// response is struct seccomp_notif_resp.
type response struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// Requests of ioctl(2) on a listener: SECCOMP_IOCTL_NOTIF_RECV and _SEND.
const (
	ioctlReceive = 0xc0502100
	ioctlSend    = 0xc0182101
)

// Program is a traced program that waits to be let go.
type Program struct {
	conn *net.UnixConn
	fd   int
}

// Accept takes the next program that arrives at the harness's socket.
func Accept(at *net.UnixListener) (*Program, error) {
	conn, err := at.AcceptUnix()
	if err != nil {
		return nil, err
	}
	rights := make([]byte, unix.CmsgSpace(4))
	var one [1]byte
	_, n, _, _, err := conn.ReadMsgUnix(one[:], rights)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(fmt.Errorf("the program sent no listener: %w", err), conn.Close())
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(fmt.Errorf("the program sent no listener: %w", err), conn.Close())
	}
	return &Program{conn: conn, fd: fds[0]}, nil
}

// Run lets the program go and decides about its calls until all of its processes have ended.
func (p *Program) Run(handle Handler) error {
	defer func() { _ = unix.Close(p.fd) }()
	_, err := p.conn.Write([]byte{1})
	if err := errors.Join(err, p.conn.Close()); err != nil {
		return err
	}
	for {
		poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for a call: %w", err)
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			if poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
				return nil // nobody is left under the filter
			}
			continue
		}
		var n notification
		if errno := ioctl(p.fd, ioctlReceive, unsafe.Pointer(&n)); errno != 0 {
			if errno == unix.ENOENT || errno == unix.EINTR {
				continue // the call was interrupted, or its process ended
			}
			return fmt.Errorf("receive a call: %w", errno)
		}
		if err := p.decide(&n, handle); err != nil {
			return err
		}
	}
}

func (p *Program) decide(n *notification, handle Handler) error {
	call, err := decode(n)
	if err != nil {
		// The process has just been killed, or a pointer of its leads nowhere: the kernel's own
		// answer is the right one.
		return p.answer(n.ID, Verdict{})
	}
	verdict := handle(call)
	if verdict.Hold == nil {
		return p.settle(n.ID, call, verdict)
	}
	// Held calls must not keep the others; what is held ends with its process or its hold.
	go func() {
		<-verdict.Hold
		_ = p.settle(n.ID, call, verdict)
	}()
	return nil
}

func (p *Program) settle(id uint64, call *Call, verdict Verdict) error {
	if verdict.Kill {
		victim := call.PID
		if verdict.Victim != 0 {
			victim = verdict.Victim
		}
		if err := unix.Kill(victim, unix.SIGKILL); err != nil && err != unix.ESRCH {
			return fmt.Errorf("kill process %d before %s: %w", victim, call, err)
		}
		if victim != call.PID {
			return p.answer(id, Verdict{Errno: unix.EINTR})
		}
		return nil // it dies in the call, which never happens
	}
	return p.answer(id, verdict)
}

func (p *Program) answer(id uint64, verdict Verdict) error {
	r := response{ID: id}
	if verdict.Errno != 0 {
		r.Error = -int32(verdict.Errno)
	} else {
		r.Flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	}
	if errno := ioctl(p.fd, ioctlSend, unsafe.Pointer(&r)); errno != 0 && errno != unix.ENOENT {
		return fmt.Errorf("answer a call: %w", errno)
	}
	return nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return errno
}
