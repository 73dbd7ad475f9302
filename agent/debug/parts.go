package debug

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/bundle"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/unitlog"
)

// bundleLines is how many lines of each unit's log an archive has.
const bundleLines = 1000

// Parts implements bundle.Source: everything that this package can tell, the units' logs, and
// facts of the machine. Private keys and secrets are not read.
func (n *Node) Parts(ctx context.Context) []bundle.Part {
	units := []string{plan.AgentUnit}
	var p *plan.Plan
	if f := n.look(ctx); f.gen != nil {
		p = f.gen.Plan
		for _, unit := range p.Units {
			units = append(units, unit.Name)
		}
	}
	parts := []bundle.Part{
		asJSON("status.json", "slipway-agent status -o json", func(ctx context.Context) (any, error) { return n.Overview(ctx) }),
		asJSON("why.json", "slipway-agent why -o json, for the node and each unit that is not active", func(ctx context.Context) (any, error) { return n.whyAll(ctx, units), nil }),
		asJSON("plan.json", "slipway-agent plan", func(context.Context) (any, error) { return n.Plan() }),
		asJSON("journal.json", "slipway-agent journal -o json (entries, outbox)", func(context.Context) (any, error) { return n.Journal() }),
		asJSON("diff.json", "slipway-agent diff -o json", func(ctx context.Context) (any, error) { return n.Diff(ctx, "") }),
		{Name: "lock.json", How: "the lock of the current generation", Make: n.writeLock},
		asJSON("verify.json", "slipway-agent verify -o json", func(ctx context.Context) (any, error) { return n.Verify(ctx) }),
		asJSON("units.json", "D-Bus: the state of each unit", func(ctx context.Context) (any, error) { return n.unitStates(ctx, units) }),
		{Name: "certificates.pem", How: "the public halves of the plan's certificates", Make: func(_ context.Context, w io.Writer) error { return n.writeCertificates(w, p) }},
	}
	for _, unit := range units {
		parts = append(parts,
			command("properties/"+unit+".txt", "systemctl", "show", "--no-pager", unit),
			n.logPart("logs/"+unit+".log", unit))
	}
	return slices.Concat(parts, machine(n.Root))
}

// whyAll explains the node and what does not run.
func (n *Node) whyAll(ctx context.Context, units []string) []*Answer {
	out := []*Answer{n.Why(ctx, "")}
	states, err := n.Systemd.States(ctx, units)
	for _, unit := range units[1:] {
		if err != nil || states[unit].Active != "active" {
			out = append(out, n.Why(ctx, unit))
		}
	}
	return out
}

func (n *Node) unitStates(ctx context.Context, units []string) (any, error) {
	out := map[string]*Unit{}
	for _, unit := range units {
		status, err := n.Systemd.Status(ctx, unit)
		if err != nil {
			return out, err
		}
		out[unit] = unitOf(status)
	}
	return out, nil
}

func (n *Node) writeLock(_ context.Context, w io.Writer) error {
	number, err := n.store().CurrentNumber()
	if err != nil {
		return err
	}
	raw, _, err := n.lockBytes(number)
	if err != nil {
		return err
	}
	_, err = w.Write(raw)
	return err
}

// writeCertificates writes chains, block by block, so that nothing else can slip through.
func (n *Node) writeCertificates(w io.Writer, p *plan.Plan) error {
	if p == nil {
		return ErrNone
	}
	for _, certificate := range p.Certificates {
		rest, err := os.ReadFile(filepath.Join(n.Root, "pki", certificate.Name, "tls.crt"))
		_, _ = fmt.Fprintf(w, "# %s, for %s, owner %s", certificate.Name, certificate.Purpose, certificate.Owner)
		if err != nil {
			_, _ = fmt.Fprintf(w, ": %v\n", err)
			continue
		}
		_, _ = fmt.Fprintln(w)
		for {
			block, after := pem.Decode(rest)
			if block == nil {
				break
			}
			rest = after
			if block.Type == "CERTIFICATE" {
				if err := pem.Encode(w, block); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (n *Node) logPart(name, unit string) bundle.Part {
	return bundle.Part{Name: name, How: fmt.Sprintf("journalctl --unit=%s --lines=%d", unit, bundleLines), Make: func(ctx context.Context, w io.Writer) error {
		lines, err := n.Lines(ctx, unitlog.Query{Units: []string{unit}, Lines: bundleLines})
		for _, line := range lines {
			if err := WriteLine(w, line, false); err != nil {
				return err
			}
		}
		return err
	}}
}

func asJSON(name, how string, get func(context.Context) (any, error)) bundle.Part {
	return bundle.Part{Name: name, How: how, Make: func(ctx context.Context, w io.Writer) error {
		value, err := get(ctx)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(value)
	}}
}

// machine are facts of the machine that explain many troubles.
func machine(root string) []bundle.Part {
	parts := []bundle.Part{
		{Name: "machine/disk.txt", How: "statfs(2)", Make: func(_ context.Context, w io.Writer) error { return disks(w, "/", "/var", root, "/run", "/tmp") }},
		{Name: "machine/addresses.txt", How: "the addresses of each interface", Make: func(_ context.Context, w io.Writer) error { return addresses(w) }},
		command("machine/dmesg.txt", "dmesg", "--ctime"),
		command("machine/failed-units.txt", "systemctl", "list-units", "--failed", "--no-pager", "--plain"),
	}
	for _, file := range []string{
		"/proc/version", "/proc/cmdline", "/proc/uptime", "/proc/loadavg", "/proc/meminfo", "/proc/self/mountinfo", "/proc/net/route", "/proc/net/tcp",
		"/proc/net/tcp6", "/proc/cgroups", "/proc/self/cgroup", "/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory", "/etc/os-release", "/etc/resolv.conf",
	} {
		parts = append(parts, bundle.Part{Name: "machine" + file, How: "read " + file, Make: func(_ context.Context, w io.Writer) error {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			_, err = w.Write(raw)
			return err
		}})
	}
	return parts
}

// command is a part that is the output of a program of the node, if it is there and allowed.
func command(name string, args ...string) bundle.Part {
	return bundle.Part{Name: name, How: fmt.Sprint(args), Make: func(ctx context.Context, w io.Writer) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
		}
		return nil
	}}
}

func disks(w io.Writer, paths ...string) error {
	for _, path := range paths {
		var stat unix.Statfs_t
		if err := unix.Statfs(path, &stat); err != nil {
			_, _ = fmt.Fprintf(w, "%s: %v\n", path, err)
			continue
		}
		const mebi = 1 << 20
		size := uint64(stat.Bsize)
		if _, err := fmt.Fprintf(w, "%s: %d MiB of %d MiB free, %d of %d inodes free, type %#x\n", path,
			stat.Bavail*size/mebi, stat.Blocks*size/mebi, stat.Ffree, stat.Files, stat.Type); err != nil {
			return err
		}
	}
	return nil
}

func addresses(w io.Writer) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		all, err := i.Addrs()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s (%s, mtu %d): %v\n", i.Name, i.Flags, i.MTU, all); err != nil {
			return err
		}
	}
	return nil
}
