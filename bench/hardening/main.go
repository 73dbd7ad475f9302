// Command hardening shows how the components of a real node are isolated, beside the same
// components run by podman as Magnum's Heat driver ran them, on this machine and in one run:
// the scores of `systemd-analyze security` for the units, and what the kernel says of the
// processes. Ours run on a node of a cluster that it makes and removes; in upstream's containers
// a program that only waits stands for the component, because podman's flags decide.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"slipway.build/slipway/components/isolation"
)

func main() {
	bin := flag.String("bin", "bin", "directory of slipway")
	state := flag.String("state", "/var/lib/sliptest-hardening", "state directory of the cluster")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *bin, *state); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// side is one way to run the components, by name.
type side struct {
	scores    map[string]float64
	processes map[string]*isolation.Process
	rows      map[string]string // read while the process was there
}

func newSide() side {
	return side{map[string]float64{}, map[string]*isolation.Process{}, map[string]string{}}
}

func (s side) add(component string, score float64, p *isolation.Process) {
	s.scores[component], s.processes[component], s.rows[component] = score, p, p.Row()
}

func bench(ctx context.Context, bin, state string) (err error) {
	dir, err := os.MkdirTemp("", "slipt-h-") // podman wants short paths
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	theirs, err := podmans(ctx, dir)
	if err != nil {
		return err
	}
	ours, err := node(ctx, filepath.Join(bin, "slipway"), state)
	if err != nil {
		return err
	}
	report(os.Stdout, ours, theirs)
	return nil
}

// podmans starts upstream's containers one after the other and looks at each.
func podmans(ctx context.Context, dir string) (out side, err error) {
	out = newSide()
	root, err := rootfs(ctx, dir)
	if err != nil {
		return out, err
	}
	p := podman{dir: filepath.Join(dir, "podman")}
	defer func() { err = errors.Join(err, p.close()) }()
	for _, u := range upstreams() {
		file := filepath.Join(dir, u.component+".service")
		if err := os.WriteFile(file, []byte(u.unit()), 0o644); err != nil {
			return out, err
		}
		value, err := score(exec.CommandContext(ctx, "systemd-analyze", "security", "--offline=true", "--no-pager", file))
		if err != nil {
			return out, err
		}
		process, err := p.start(ctx, u, root)
		if err != nil {
			return out, err
		}
		out.add(u.component, value, process)
		if err := p.remove("slipt-hardening-" + u.component); err != nil {
			return out, err
		}
	}
	return out, nil
}

// node makes a cluster of one master and looks at the master's components.
func node(ctx context.Context, slipway, state string) (out side, err error) {
	out = newSide()
	run := func(ctx context.Context, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, slipway, args...)
		cmd.Env = append(os.Environ(), "SLIPWAY_STATE="+state, "SLIPWAY_ENDPOINT=")
		cmd.Stderr = os.Stderr
		return cmd.Output()
	}
	defer func() {
		_, down := run(context.WithoutCancel(ctx), "down")
		err = errors.Join(err, down)
	}()
	if _, err := run(ctx, "up", "--masters", "1", "--nodes", "1"); err != nil {
		return out, fmt.Errorf("make a cluster: %w", err)
	}
	text, err := run(ctx, "local", "servers", "-o", "json")
	if err != nil {
		return out, err
	}
	var servers []struct {
		Name string `json:"name"`
		PID  int    `json:"pid"`
	}
	if err := json.Unmarshal(text, &servers); err != nil {
		return out, err
	}
	for _, server := range servers {
		if strings.Contains(server.Name, "master") {
			return out, look(ctx, out, server.PID)
		}
	}
	return out, errors.New("the cluster has no master")
}

// look reads the components of the node whose first process is leader.
func look(ctx context.Context, out side, leader int) error {
	inside := func(command ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(leader), "--all", "--root", "--wd=/", "--"}, command...)...)
	}
	for _, e := range isolation.Expected(true) {
		value, err := score(inside("systemd-analyze", "security", "--no-pager", e.Unit()))
		if err != nil {
			return err
		}
		process, err := component(leader, e)
		if err != nil {
			return err
		}
		out.add(e.Component, value, process)
	}
	return nil
}

// component finds the process of a component on a node: the one in its unit whose parent is in
// the same unit, too.
func component(leader int, e isolation.Expectation) (*isolation.Process, error) {
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", leader))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		p, err := isolation.Read(pid)
		if err != nil || p.Namespaces["pid"] != want || p.Unit() != e.Unit() {
			continue
		}
		if parent, err := isolation.Read(p.Parent); err == nil && parent.Unit() == e.Unit() {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no process of %s is on the node", e.Component)
}

// score runs systemd-analyze security and reads the overall exposure level: 0 is none, 10 all.
func score(cmd *exec.Cmd) (float64, error) {
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	_, rest, ok := strings.Cut(string(out), "Overall exposure level for ")
	_, rest, found := strings.Cut(rest, ": ")
	fields := strings.Fields(rest)
	if !ok || !found || len(fields) == 0 {
		return 0, fmt.Errorf("%s gives no score", strings.Join(cmd.Args, " "))
	}
	return strconv.ParseFloat(fields[0], 64)
}

func report(out io.Writer, ours, theirs side) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "COMPONENT\tRUN BY\tSCORE\t"+isolation.Heading)
	var sum, their float64
	var both int
	for _, e := range isolation.Expected(true) {
		_, _ = fmt.Fprintf(table, "%s\tslipway\t%.1f\t%s\n", e.Component, ours.scores[e.Component], ours.rows[e.Component])
		if row, ok := theirs.rows[e.Component]; ok {
			_, _ = fmt.Fprintf(table, "\tpodman\t%.1f\t%s\n", theirs.scores[e.Component], row)
			sum, their, both = sum+ours.scores[e.Component], their+theirs.scores[e.Component], both+1
		}
	}
	_ = table.Flush()
	_, _ = fmt.Fprintln(out, "\nSCORE is systemd-analyze's exposure level of the unit: 0 is none, 10 all. CAPS are the effective capabilities, BOUND what can be gained.")
	_, _ = fmt.Fprintln(out, "Upstream ran containerd as a plain service of the host.")
	_, _ = fmt.Fprintf(out, "hardening score %.1f of podman %.1f (means of the %d components of both)\n", sum/float64(both), their/float64(both), both)
}
