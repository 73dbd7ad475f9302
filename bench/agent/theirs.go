package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// program is what Debian's package installs.
const program = "/usr/bin/os-collect-config"

// theirs is what os-collect-config costs: times in seconds, memory in KiB, disk in bytes.
type theirs struct {
	memory          int
	idle, processor float64
	start, reaction []float64
	disk            int64
}

// interval is its polling interval once nothing changes (its default).
const interval = 30 * time.Second

// metadata serves what os-collect-config polls, as its collector `request` reads it: HEAD for
// Last-Modified, then GET.
type metadata struct {
	mu       sync.Mutex
	version  int
	modified time.Time
	asked    chan time.Time // each request's arrival; the newest only
}

func (m *metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case m.asked <- time.Now():
	default:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Last-Modified", m.modified.UTC().Format(http.TimeFormat))
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, `{"config": {"version": %d}}`, m.version)
	}
}

// change makes new metadata; their time has a resolution of a second.
func (m *metadata) change() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version++
	m.modified = m.modified.Add(2 * time.Second)
}

// collector is a running os-collect-config.
type collector struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func (c *collector) stop() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // its own process group
	<-c.done
}

// launch starts os-collect-config with its defaults, with the one source of metadata that there
// is, and a command that writes down when it was run.
func launch(dir, url string) (*collector, error) {
	config := filepath.Join(dir, "os-collect-config.conf")
	text := "[DEFAULT]\ncommand = date +%s.%N >> " + filepath.Join(dir, "runs") + "\ncollectors = request\n" +
		"cachedir = " + filepath.Join(dir, "cache") + "\nbackup_cachedir = " + filepath.Join(dir, "backup") + "\n[request]\nmetadata_url = " + url + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c := &collector{cmd: exec.Command(program, "--config-file", config), done: make(chan struct{})}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (make bench-agent installs python3-os-collect-config)", err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait()
	}()
	return c, nil
}

func measureTheirs(ctx context.Context, dir string, idle time.Duration, changes int) (*theirs, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &metadata{modified: time.Now().Add(-time.Hour).Truncate(time.Second), asked: make(chan time.Time, 1)}
	server := &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		_ = server.Close()
		<-served
	}()
	url := "http://" + listener.Addr().String() + "/metadata"
	out := &theirs{}
	for range 5 {
		if err := out.startOnce(dir, url, m); err != nil {
			return nil, err
		}
	}
	c, err := launch(dir, url)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	if err := out.react(ctx, dir, m, changes); err != nil {
		return nil, err
	}
	if err := out.rest(ctx, c, idle); err != nil {
		return nil, err
	}
	out.disk, err = debianSize("python3-os-collect-config")
	return out, err
}

func (o *theirs) startOnce(dir, url string, m *metadata) error {
	select {
	case <-m.asked:
	default:
	}
	begun := time.Now()
	c, err := launch(dir, url)
	if err != nil {
		return err
	}
	defer c.stop()
	select {
	case at := <-m.asked:
		o.start = append(o.start, at.Sub(begun).Seconds())
		return nil
	case <-c.done:
		return errors.New("it ended before it asked for anything")
	case <-time.After(time.Minute):
		return errors.New("it asked for nothing within a minute")
	}
}

// react changes the metadata at phases that are evenly spread over the polling interval, after
// the intervals have grown to what they are at rest.
func (o *theirs) react(ctx context.Context, dir string, m *metadata, changes int) error {
	// 1 + 2 + 4 + 8 + 16 seconds until it polls every 30; a change does not shorten that again.
	if err := sleep(ctx, 35*time.Second); err != nil {
		return err
	}
	for i := range changes {
		before, err := runs(dir)
		if err != nil {
			return err
		}
		// The last reaction ended at a poll, so this wait is the phase of the change.
		phase := time.Duration(float64(interval) * (float64(i) + 0.5) / float64(changes))
		if err := sleep(ctx, phase); err != nil {
			return err
		}
		changed := time.Now()
		m.change()
		for {
			all, err := runs(dir)
			if err != nil {
				return err
			}
			if len(all) > len(before) {
				o.reaction = append(o.reaction, all[len(all)-1]-float64(changed.UnixNano())/1e9)
				break
			}
			if time.Since(changed) > 3*interval {
				return fmt.Errorf("change %d was not noticed within %v", i+1, 3*interval)
			}
			if err := sleep(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// runs returns when the command was run.
func runs(dir string) (out []float64, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "runs"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, text := range strings.Fields(string(raw)) {
		at, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, at)
	}
	return out, err
}

func (o *theirs) rest(ctx context.Context, c *collector, idle time.Duration) error {
	pid := strconv.Itoa(c.cmd.Process.Pid)
	before, err := processor(pid)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := sleep(ctx, idle); err != nil {
		return err
	}
	after, err := processor(pid)
	if err != nil {
		return err
	}
	o.idle, o.processor = time.Since(begun).Seconds(), after-before
	o.memory, err = pss(pid)
	return err
}

func sleep(ctx context.Context, long time.Duration) error {
	select {
	case <-time.After(long):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// debianSize is the installed size of a package with all that it depends on and that is not in
// every Debian (priority required), in bytes.
func debianSize(name string) (int64, error) {
	out, err := exec.Command("apt-cache", "depends", "--recurse", "--installed", "--no-recommends", "--no-suggests", "--no-conflicts",
		"--no-breaks", "--no-replaces", "--no-enhances", name).Output()
	if err != nil {
		return 0, fmt.Errorf("the packages that %s needs: %w", name, err)
	}
	var names []string
	for _, line := range strings.Split(string(out), "\n") {
		if line != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "<") {
			names = append(names, line)
		}
	}
	var kib int64
	// Some names are of other architectures or virtual; dpkg-query complains and tells the rest.
	list := exec.Command("dpkg-query", append([]string{"-W", "-f=${Priority} ${Installed-Size}\n"}, names...)...)
	var told bytes.Buffer
	list.Stdout = &told
	_ = list.Run()
	for _, line := range strings.Split(told.String(), "\n") {
		priority, size, ok := strings.Cut(line, " ")
		if n, err := strconv.ParseInt(size, 10, 64); ok && err == nil && priority != "required" {
			kib += n
		}
	}
	if kib == 0 {
		return 0, fmt.Errorf("no package that %s needs is installed", name)
	}
	return kib << 10, nil
}
