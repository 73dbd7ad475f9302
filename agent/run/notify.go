package run

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Variables of systemd's protocol with a service (sd_notify(3), sd_watchdog_enabled(3)).
const (
	notifySocket = "NOTIFY_SOCKET"
	watchdogUsec = "WATCHDOG_USEC"
	watchdogPID  = "WATCHDOG_PID"
)

// notifier tells systemd about the unit. Without a socket it is silent.
type notifier struct{ conn *net.UnixConn }

func newNotifier() (*notifier, error) {
	path := os.Getenv(notifySocket)
	if path == "" {
		return &notifier{}, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", notifySocket, err)
	}
	return &notifier{conn: conn}, nil
}

// send sends assignments, one a line. systemd has no answer; a lost message shows as a timeout.
func (n *notifier) send(lines ...string) {
	if n.conn != nil {
		_, _ = n.conn.Write([]byte(strings.Join(lines, "\n")))
	}
}

// watchdog returns the unit's watchdog period, 0 when there is none.
func watchdog() time.Duration {
	usec, err := strconv.ParseInt(os.Getenv(watchdogUsec), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	if pid := os.Getenv(watchdogPID); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// childEnv is our environment without what is ours alone, and the component's own, which takes
// the place of what has the same name: a program may look at the first of two.
func childEnv(own []string) []string {
	named := func(entry string) func(string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return func(other string) bool { return strings.HasPrefix(other, name+"=") }
	}
	var out []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case notifySocket, watchdogUsec, watchdogPID, "GOGC", "GOMAXPROCS", "GOMEMLIMIT":
		default:
			if !slices.ContainsFunc(own, named(entry)) {
				out = append(out, entry)
			}
		}
	}
	return append(out, own...)
}
