package compute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/launch/cgroup"
	"slipway.build/slipway/controlplane/cloud/local/launch/nspawn"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

// rebooted is systemd-nspawn's exit status, under --keep-unit, when the container asked for a
// reboot.
const rebooted = 133

// provision makes the files of a server that has never been powered on, and applies the user
// data. What an interrupted attempt left is thrown away first: Ignition has to find a fresh root.
func (c *Compute) provision(ctx context.Context, s serverRecord, userData []byte) error {
	p := c.place(s.ID)
	if err := unmountBelow(string(p)); err != nil {
		return err
	}
	if err := os.RemoveAll(string(p)); err != nil {
		return fmt.Errorf("clear an interrupted attempt: %w", err)
	}
	if err := os.MkdirAll(string(p), 0o700); err != nil {
		return err
	}
	for _, dir := range []string{p.root(), p.upper(), p.work(), p.volumes()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := copyVar(ctx, s.System, p.variable()); err != nil {
		return err
	}
	if err := c.mountRoot(s); err != nil {
		return err
	}
	if err := c.Ignition.Apply(ctx, p.root(), userData); err != nil {
		return err
	}
	return syncFS(string(p))
}

// copyVar makes a server's /var from those of the image's layers, the lowest first.
func copyVar(ctx context.Context, image Image, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := len(image.Layers) - 1; i >= 0; i-- {
		from := filepath.Join(image.Layers[i], "var")
		if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := tool(ctx, "cp", "-a", "--reflink=auto", from+"/.", dir); err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
	}
	return nil
}

// mountRoot mounts the root file system and /var in it, as far as they are not.
func (c *Compute) mountRoot(s serverRecord) error {
	p := c.place(s.ID)
	is, err := mounted(p.root())
	if err != nil {
		return err
	}
	if !is {
		if err := overlay(p.root(), s.System.Layers, p.upper(), p.work()); err != nil {
			return err
		}
	}
	inner := filepath.Join(p.root(), "var")
	if is, err = mounted(inner); err != nil || is {
		return err
	}
	return bind(p.variable(), inner)
}

// powerOn starts the server when it does not run. Its network namespace is a new one each time.
func (c *Compute) powerOn(ctx context.Context, s serverRecord) error {
	name := c.unitName(s.ID)
	running, err := c.Launcher.Running(ctx, name)
	if err != nil {
		return err
	}
	if running { // started by a call that was killed, perhaps this very moment
		return c.awaitInit(ctx, s)
	}
	if err := c.mountRoot(s); err != nil {
		return err
	}
	p := c.place(s.ID)
	for _, a := range s.Volumes {
		if err := c.mountVolume(ctx, a.Volume, p.volume(a.Volume)); err != nil {
			return err
		}
	}
	endpoint, err := c.Network.Endpoint(ctx, s.Port)
	if err != nil {
		return fmt.Errorf("port %s: %w", s.Port, err)
	}
	var resolv strings.Builder
	for _, a := range endpoint.DNS {
		fmt.Fprintf(&resolv, "nameserver %s\n", a)
	}
	if err := writeFile(p.resolvConf(), []byte(resolv.String()), 0o644); err != nil {
		return err
	}
	if err := c.Network.Unplug(ctx, s.Port); err != nil {
		return err
	}
	if err := namespace.Delete(name); err != nil {
		return err
	}
	if _, err := namespace.Ensure(name); err != nil {
		return err
	}
	if err := c.Network.Plug(ctx, s.Port, name); err != nil {
		return err
	}
	spec, err := c.spec(ctx, s)
	if err != nil {
		return err
	}
	if err := c.Launcher.Start(ctx, spec); err != nil {
		return err
	}
	return c.awaitInit(ctx, s)
}

// spec is the systemd-nspawn command line of a server. Kubernetes needs the capabilities and
// system calls; the group of the server, not the machine's service manager, is its keeper.
func (c *Compute) spec(ctx context.Context, s serverRecord) (launch.Spec, error) {
	flavor, err := c.Flavor(ctx, s.Flavor)
	if err != nil {
		return launch.Spec{}, err
	}
	name, p := c.unitName(s.ID), c.place(s.ID)
	command := []string{
		c.Nspawn, "--quiet", "--keep-unit", "--register=no", "--console=pipe",
		"--machine=" + name, "--uuid=" + s.ID, "--directory=" + p.root(),
		"--capability=all", "--system-call-filter=@keyring bpf perf_event_open @mount",
		"--network-namespace-path=" + namespace.Path(name),
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--bind-ro=/dev/kmsg",
		"--bind-ro=" + escape(filepath.Join(p.root(), "usr")) + ":/usr",
		"--bind-ro=" + escape(p.resolvConf()) + ":/etc/resolv.conf",
		"--kill-signal=SIGRTMIN+3",
	}
	if limit, err := openFiles(); err == nil {
		command = append(command, fmt.Sprintf("--rlimit=NOFILE=1024:%d", limit))
	}
	for _, a := range s.Volumes {
		command = append(command, "--bind="+escape(p.volume(a.Volume))+":"+a.Path)
	}
	return launch.Spec{
		Name:      name,
		Command:   append(command, s.System.Init),
		Log:       p.console(),
		Limits:    cgroup.Limits{Memory: int64(flavor.RAM) << 20, CPUs: flavor.VCPUs},
		RestartOn: rebooted,
	}, nil
}

// openFiles is how many files a process of a server may open at most: as many as systemd gives
// on a machine of its own, unless this process may not give as many.
func openFiles() (uint64, error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return 0, err
	}
	return min(own.Max, 524288), nil
}

// escape keeps a colon in a path from ending it, in systemd-nspawn's --bind.
func escape(path string) string { return strings.ReplaceAll(path, ":", `\:`) }

// awaitInit returns when process 1 of the server exists, or with the server's console when it
// has ended before that.
func (c *Compute) awaitInit(ctx context.Context, s serverRecord) error {
	name := c.unitName(s.ID)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		pids, err := c.Launcher.Processes(ctx, name)
		if err != nil {
			return err
		}
		if _, ok := launch.Init(pids); ok {
			return nil
		}
		if len(pids) == 0 {
			return fmt.Errorf("systemd-nspawn ended at once: %s (all of it in %s)", tail(c.place(s.ID).console()), c.place(s.ID).console())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for process 1: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
}

// tail returns the last bytes of a log for an error message.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const most = 512
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-most), io.SeekStart)
	}
	data, _ := io.ReadAll(f)
	return strings.TrimSpace(string(data))
}

// powerOff stops the server, if it runs, and takes away what powerOn made.
func (c *Compute) powerOff(ctx context.Context, s serverRecord, grace time.Duration) error {
	name := c.unitName(s.ID)
	if err := c.Launcher.Stop(ctx, name, grace); err != nil {
		return err
	}
	if s.Port != "" {
		if err := c.Network.Unplug(ctx, s.Port); err != nil {
			return err
		}
	}
	if err := namespace.Delete(name); err != nil {
		return err
	}
	if err := nspawn.ForgetMachine(name); err != nil {
		return err
	}
	if err := nspawn.ForgetRoot(c.place(s.ID).root()); err != nil {
		return err
	}
	return unmountBelow(string(c.place(s.ID)))
}

// remove takes away the server with all that is its own.
func (c *Compute) remove(ctx context.Context, s serverRecord) error {
	if err := c.powerOff(ctx, s, 0); err != nil {
		return fmt.Errorf("delete server %s: %w", s.ID, err)
	}
	if err := os.RemoveAll(string(c.place(s.ID))); err != nil {
		return fmt.Errorf("delete server %s: %w", s.ID, err)
	}
	return c.Store.Update(ctx, func(tx *record.Tx) error { return tx.Delete(kindServer, s.ID) })
}

func syncFS(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
