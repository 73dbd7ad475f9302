package trap

import (
	"fmt"
	"net"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exec sends the listener of a new filter over the unix socket at path, waits for one byte, and
// becomes the program under that filter. It returns only on an error.
func Exec(path, program string, args, env []string) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	listener := make(chan int)
	failed := make(chan error)
	released := make(chan struct{})
	// The filter holds for the thread that installs it and for what it becomes. This goroutine's
	// own thread stays free, so that it can hand the listener over.
	go func() {
		runtime.LockOSThread()
		fd, err := install()
		if err != nil {
			failed <- err
			return
		}
		listener <- fd
		<-released
		failed <- syscall.Exec(program, args, env)
	}()
	select {
	case err := <-failed:
		return err
	case fd := <-listener:
		unix.CloseOnExec(fd)
		if _, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(fd), nil); err != nil {
			return fmt.Errorf("hand over the listener: %w", err)
		}
		var one [1]byte
		if _, err := conn.Read(one[:]); err != nil {
			return fmt.Errorf("wait to be let go: %w", err)
		}
	}
	close(released)
	return <-failed
}
