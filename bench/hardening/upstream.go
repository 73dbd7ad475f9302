package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/components/isolation"
)

// upstream is how Magnum's Heat driver ran a component: `podman run` with these flags in a unit
// without any sandboxing option. Read from magnum/drivers/common/templates/kubernetes/fragments,
// configure-etcd.sh and configure-kubernetes-master.sh, of openstack/magnum (the driver was
// deleted in 2026).
type upstream struct {
	component string
	flags     []string
}

func upstreams() []upstream {
	host := []string{"--net", "host"}
	// Volumes whose sources every machine has; the others change nothing of what is looked at.
	control := append([]string{"--volume", "/run:/run", "--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"}, host...)
	return []upstream{
		{"etcd", host},
		{"kube-apiserver", control},
		{"kube-controller-manager", control},
		{"kube-scheduler", control},
		{"kubelet", append([]string{"--privileged", "--pid", "host", "--volume", "/:/rootfs:rslave,ro", "--volume", "/dev:/dev", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"}, control...)},
		{"kube-proxy", append([]string{"--privileged", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"}, control...)},
	}
}

// unit is upstream's unit as far as isolation goes.
func (u upstream) unit() string {
	return "[Unit]\nDescription=" + u.component + " by podman\n[Service]\nExecStart=/usr/bin/podman run --name " + u.component + " " +
		strings.Join(u.flags, " ") + " image " + u.component + "\nDelegate=yes\nRestart=always\nRestartSec=10\n"
}

// podman runs containers in a storage of its own.
type podman struct{ dir string }

func (p podman) run(ctx context.Context, args ...string) (string, error) {
	all := append([]string{"--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"), "--cgroup-manager=cgroupfs", "--events-backend=none"}, args...)
	out, err := exec.CommandContext(ctx, "podman", all...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("podman %s: %w: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// start starts a component's container and returns its process.
func (p podman) start(ctx context.Context, u upstream, rootfs string) (*isolation.Process, error) {
	name := "slipt-hardening-" + u.component
	// podman's own limits are higher than a container of this machine may set.
	args := []string{"run", "--detach", "--name", name, "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"}
	args = append(append(args, u.flags...), "--rootfs", rootfs, "/hold")
	if _, err := p.run(ctx, args...); err != nil {
		return nil, errors.Join(err, p.remove(name))
	}
	text, err := p.run(ctx, "inspect", "--format", "{{.State.Pid}}", name)
	if err != nil {
		return nil, errors.Join(err, p.remove(name))
	}
	pid, err := strconv.Atoi(text)
	if err == nil {
		var process *isolation.Process
		if process, err = isolation.Read(pid); err == nil {
			return process, nil
		}
	}
	return nil, errors.Join(err, p.remove(name))
}

// remove removes a container by name, whether it runs or not.
func (p podman) remove(name string) error {
	_, err := p.run(context.Background(), "rm", "--force", "--ignore", "--time", "0", name)
	return err
}

// close lets go of the storage, which podman keeps mounted onto itself.
func (p podman) close() error {
	if err := p.settle(); err != nil {
		return err
	}
	for {
		err := unix.Unmount(filepath.Join(p.dir, "root", "overlay"), 0)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // nothing is mounted there any more
			return nil
		}
		if err != nil {
			return fmt.Errorf("unmount podman's storage: %w", err)
		}
	}
}

// settle waits until no process works on the storage any more: conmon starts another podman when
// its container has ended, however that came about, and that one mounts the storage again.
func (p podman) settle() error {
	const enough = 2 // looks without a process: one can miss a process whose parent ends meanwhile
	until := time.Now().Add(2 * time.Minute)
	for none := 0; none < enough; time.Sleep(50 * time.Millisecond) {
		working, err := p.working()
		switch {
		case err != nil:
			return err
		case working == "":
			none++
		case time.Now().After(until):
			return fmt.Errorf("podman's storage %s is still in use: %s", p.dir, working)
		default:
			none = 0
		}
	}
	return nil
}

// working returns the command of a process whose arguments name the storage, or nothing.
func (p podman) working() (string, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), p.dir+"/") { // else it has ended
			return strings.ReplaceAll(string(line), "\x00", " "), nil
		}
	}
	return "", nil
}

// rootfs makes a root with the one program.
func rootfs(ctx context.Context, dir string) (string, error) {
	root := filepath.Join(dir, "rootfs")
	for _, sub := range []string{"etc", "run", "dev", "proc", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o755); err != nil {
			return "", err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(root, "hold"), "./bench/hardening/hold")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program that waits: %w: %s", err, out)
	}
	return root, nil
}
