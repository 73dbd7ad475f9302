package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/launch/cgroup"
	"slipway.build/slipway/controlplane/cloud/local/launch/nspawn"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
)

// haproxyID is the user and group that haproxy has in its container, and so on the host: one of
// its own, that owns nothing else.
const haproxyID = 64724

// memoryLimit bounds a balancer, in bytes.
const memoryLimit = 256 << 20

// logLimit is the size, in bytes, from which on a log is begun anew when a container starts.
const logLimit = 1 << 20

// lay makes the container's root: empty directories for mounts, links into /usr, and the two
// users. It may be called again.
func (b *Balancers) lay(id string) error {
	dir := b.dir(id)
	root := filepath.Join(dir, "root")
	for _, d := range []string{"etc/haproxy", "usr", "proc", "sys", "dev", "run", "tmp", "var/lib/haproxy"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if _, err := os.Lstat(filepath.Join("/usr", link)); err != nil {
			continue
		}
		if err := os.Symlink("usr/"+link, filepath.Join(root, link)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/passwd":     fmt.Sprintf("root:x:0:0::/:/usr/sbin/nologin\nhaproxy:x:%d:%[1]d::/:/usr/sbin/nologin\n", haproxyID),
		"etc/group":      fmt.Sprintf("root:x:0:\nhaproxy:x:%d:\n", haproxyID),
		"etc/os-release": "ID=slipway-loadbalancer\n",
		"etc/machine-id": "",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "conf"), 0o755); err != nil {
		return err
	}
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	return os.Chown(state, haproxyID, haproxyID)
}

// start runs haproxy in a new container.
func (b *Balancers) start(ctx context.Context, id string) error {
	dir := b.dir(id)
	for _, s := range []string{statsSocket, masterSocket} { // of a haproxy that was killed
		if err := os.Remove(filepath.Join(dir, "state", s)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	log := filepath.Join(dir, "log")
	if info, err := os.Stat(log); err == nil && info.Size() > logLimit {
		if err := os.Truncate(log, 0); err != nil {
			return err
		}
	}
	if err := nspawn.ForgetMachine(b.name(id)); err != nil {
		return err
	}
	return b.Launcher.Start(ctx, launch.Spec{
		Name:   b.name(id),
		Log:    log,
		Limits: cgroup.Limits{Memory: memoryLimit},
		Command: []string{
			b.NSpawn, "--quiet", "--keep-unit", "--register=no", "--settings=no", "--console=pipe",
			"--machine=" + b.name(id), "--directory=" + filepath.Join(dir, "root"), "--read-only",
			"--network-namespace-path=" + namespace.Path(b.name(id)),
			"--bind-ro=/usr", "--bind-ro=" + escape(filepath.Join(dir, "conf")) + ":" + confDir, "--bind=" + escape(filepath.Join(dir, "state")) + ":" + stateDir,
			"--resolv-conf=off", "--timezone=off", "--link-journal=no",
			"--as-pid2", "--user=haproxy", "--drop-capability=all", "--no-new-privileges=yes",
			b.HAProxy, "-W", "-S", stateDir + "/" + masterSocket, "-f", confDir + "/haproxy.cfg",
		},
	})
}

// escape keeps a colon in a path from ending it, in systemd-nspawn's --bind.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(path)
}

// demolish removes the container with its namespace and files. What is gone is no error.
func (b *Balancers) demolish(ctx context.Context, name, dir string) error {
	if err := b.Launcher.Stop(ctx, name, 0); err != nil {
		return err
	}
	if err := namespace.Delete(name); err != nil {
		return err
	}
	if err := nspawn.ForgetMachine(name); err != nil {
		return err
	}
	if err := nspawn.ForgetRoot(filepath.Join(dir, "root")); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
