package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// answerLimit bounds one exchange with haproxy.
const answerLimit = 2 * time.Second

// ask sends one command to a running haproxy's socket in that directory and returns the answer.
func ask(ctx context.Context, dir, socket, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	// The path of a socket is limited to 107 bytes; a descriptor of its directory keeps it short.
	d, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer d.Close()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join("/proc/self/fd", fmt.Sprint(d.Fd()), socket))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

const (
	statsSocket  = "stats.sock"  // of the current worker
	masterSocket = "master.sock" // of the master process
)

// errSilent says that nothing answers on a socket.
var errSilent = errors.New("haproxy does not answer")

// revision returns the revision that the running haproxy works with.
func revision(ctx context.Context, dir string) (string, error) {
	info, err := ask(ctx, dir, statsSocket, "show info")
	if err != nil {
		return "", fmt.Errorf("%w: %w", errSilent, err)
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, "description:"); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", nil
}

// serversUp returns the names of the servers that the running haproxy checks and found up.
func serversUp(ctx context.Context, dir string) (map[string]bool, error) {
	answer, err := ask(ctx, dir, statsSocket, "show servers state")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	return parseUp(answer), nil
}

// parseUp reads the answer to "show servers state", version 1.
func parseUp(answer string) map[string]bool {
	up := map[string]bool{}
	for line := range strings.Lines(answer) {
		f := strings.Fields(line)
		if len(f) < 14 || f[0] == "#" {
			continue
		}
		const running, configured = "2", 2
		var check int
		if _, err := fmt.Sscan(f[13], &check); err != nil {
			continue
		}
		if f[5] == running && check&configured != 0 {
			up[f[3]] = true
		}
	}
	return up
}

// until calls done, ever more rarely, until it is true or fails or ctx ends.
func until(ctx context.Context, done func() (bool, error)) error {
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
