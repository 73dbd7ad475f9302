package basetree

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Suite is the Debian release of the tree.
const Suite = "bookworm"

// Init is the path in the tree of the first process of a node.
const Init = "/usr/lib/slipway-base/init"

// version changes when the code that follows the recipe does.
const version = 1

// recipe is everything that decides what is in a tree, but for the packages' versions: those
// are the mirror's at the time of the build.
type recipe struct {
	Version  int
	Suite    string
	Packages []string
	// Remove lists what goes after the installation, as patterns of filepath.Match.
	Remove []string
	// Files are written afterwards, by path.
	Files map[string]file
	// Links are symbolic links that are made afterwards.
	Links map[string]string
	// Moves are renames within the tree, of what would otherwise be copied into every node.
	Moves map[string]string
}

type file struct {
	Mode    uint32
	Content string
}

// digest names the recipe: the hexadecimal sha256 of its JSON form.
func (r recipe) digest() string {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// debian is the recipe in use.
func debian() recipe {
	return recipe{
		Version: version,
		Suite:   Suite,
		Packages: []string{
			"systemd", "dbus", "passwd", "procps", "mount", "kmod", "ca-certificates",
			"iproute2", "iptables", "nftables", "conntrack", "ipset", "ebtables", "ethtool", "socat",
			"runc",
		},
		Remove: removed(),
		Links: map[string]string{
			"etc/systemd/system/default.target": "/usr/lib/systemd/system/multi-user.target",
			"etc/mtab":                          "../proc/self/mounts",
			// A machine id here would be taken for the node's.
			"var/lib/dbus/machine-id": "/etc/machine-id",
		},
		Files: map[string]file{
			"etc/machine-id":  {0o444, ""}, // empty: filled at first boot, but no first-boot run of presets
			"etc/hostname":    {0o644, "localhost\n"},
			"etc/resolv.conf": {0o644, ""}, // the cloud binds the port's resolvers over it
			"etc/hosts":       {0o644, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"},
			// Ignition's files stage ends with a relabelling and reads these two, as it finds them
			// on Fedora CoreOS.
			"etc/selinux/config": {0o644, "SELINUX=disabled\nSELINUXTYPE=targeted\n"},
			"etc/selinux/targeted/contexts/files/file_contexts": {0o644, ""},
			"usr/lib/systemd/journald.conf.d/50-slipway.conf":   {0o644, journald},
			"usr/lib/slipway-base/init":                         {0o755, initScript},
			"usr/lib/tmpfiles.d/slipway-base.conf":              {0o644, tmpfiles},
		},
		Moves: map[string]string{"var/lib/dpkg": "usr/lib/slipway-base/dpkg"},
	}
}

// journald keeps the journal over a power cycle and leaves the host's kernel log to the host.
const journald = `[Journal]
Storage=persistent
SystemMaxUse=64M
ReadKMsg=no
Audit=no
ForwardToSyslog=no
ForwardToWall=no
`

// tmpfiles holds what nodes still need of Debian's own tmpfiles.d, which are removed.
const tmpfiles = `d /run/lock 1777 root root -
d /run/user 0755 root root -
d /run/log 0755 root root -
d /var/log 0755 root root -
d /var/log/journal 2755 root systemd-journal -
d /var/tmp 1777 root root -
d /var/cache 0755 root root -
`

// initScript is process 1 of a node until systemd takes its place. systemd-nspawn mounts read-only what
// Kubernetes has to write to; done here, before systemd looks, no daemon-reexec is needed for
// limits to hold (a systemd that finds the controllers read-only does not use them).
const initScript = `#!/bin/sh
# First process of a node of the local cloud: makes the mounts writable that Kubernetes needs
# so, then becomes systemd.
PATH=/usr/sbin:/usr/bin
mount -o remount,bind,rw /proc/sys
mount -o remount,bind,rw /sys
for dir in /sys/fs/cgroup /sys/fs/cgroup/*/; do
	mount -o remount,bind,rw "${dir%/}" 2>/dev/null
done
mount -t bpf bpf /sys/fs/bpf
exec /usr/lib/systemd/systemd --system
`

// removed lists what a node does not need: documentation, package lists, and units that wait for
// hardware, consoles or users that a container does not have, or that would act on the
// host's kernel.
func removed() []string {
	paths := []string{
		"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian",
		"usr/share/bash-completion", "usr/share/bug", "usr/share/menu", "usr/share/pixmaps", "usr/share/zsh",
		"usr/share/gdb", "usr/share/gcc", "usr/share/common-licenses", "usr/share/initramfs-tools",
		"usr/share/doc-base", "usr/share/dict",
		"var/cache/apt/*", "var/cache/debconf/*", "var/lib/apt/*", "var/log/*", "var/backups", "var/lib/misc",
		"var/lib/systemd/*", "var/local", "var/mail", "var/spool", "var/opt",
		"etc/apt", "etc/cron.*", "etc/init.d", "etc/rc?.d", "etc/logrotate.d", "etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-",
		"etc/sysctl.conf", "etc/sysctl.d/*", "usr/lib/sysctl.d/*",
		"etc/systemd/system/*.wants", "usr/lib/tmpfiles.d/*",
		"usr/lib/systemd/system-generators/*", "usr/lib/udev/rules.d", "run/*", "dev/*", "boot/*",
	}
	const units = "usr/lib/systemd/system/"
	for _, unit := range []string{
		"getty.target.wants/*", "graphical.target.wants", "rescue.target.wants", "runlevel?.target.wants",
		"timers.target.wants/*",
		"multi-user.target.wants/getty.target", "multi-user.target.wants/systemd-ask-password-wall.path",
		"multi-user.target.wants/systemd-logind.service", "multi-user.target.wants/systemd-update-utmp-runlevel.service",
		"multi-user.target.wants/systemd-user-sessions.service",
		"sockets.target.wants/systemd-initctl.socket", "sockets.target.wants/systemd-journald-audit.socket",
	} {
		paths = append(paths, units+unit)
	}
	for _, unit := range []string{
		"cryptsetup.target", "dev-hugepages.mount", "integritysetup.target", "kmod-static-nodes.service",
		"proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
		"sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-ask-password-console.path",
		"systemd-binfmt.service", "systemd-firstboot.service", "systemd-machine-id-commit.service",
		"systemd-modules-load.service", "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service",
		"systemd-random-seed.service", "systemd-repart.service", "systemd-tmpfiles-setup-dev.service",
		"systemd-update-utmp.service", "veritysetup.target", "ldconfig.service", "systemd-hwdb-update.service",
		"systemd-journal-catalog-update.service", "systemd-update-done.service",
	} {
		paths = append(paths, units+"sysinit.target.wants/"+unit)
	}
	return paths
}
