package component

// nodeSystem is what calico-node runs beside itself. Its scripts' log services are for bash, which
// is not here: set CALICO_DISABLE_FILE_LOGGING, as upstream's manifest does.
func nodeSystem() *System {
	s := &System{
		Why: "it runs BIRD under runit and programs the kernel with ipset, iptables and conntrack; its start scripts need a shell",
		Packages: []string{
			"bird", "busybox", "conntrack", "ipset", "iptables", "libc6", "libip4tc2", "libip6tc2", "libipset13", "libmnl0",
			"libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11", "libreadline8", "libtinfo6", "libxtables12", "runit",
		},
		Take: []string{
			"usr/bin/busybox", "usr/bin/runsv", "usr/bin/runsvdir", "usr/bin/sv", "usr/bin/svlogd",
			"usr/sbin/bird", "usr/sbin/bird6", "usr/sbin/birdc", "usr/sbin/birdc6", "usr/sbin/conntrack", "usr/sbin/ipset",
			"usr/sbin/xtables-legacy-multi", "usr/sbin/xtables-nft-multi", "usr/lib/${triplet}/xtables/*.so",
		},
		Module: []ModuleFiles{
			{From: "node/filesystem/etc", To: "etc", Executable: []string{"run", "rc.local"}},
			{From: "node/filesystem/sbin", To: "usr/sbin", Executable: []string{"*"}},
			// Debian's BIRD does not have krt_tunnel, which IP in IP alone needs.
			{From: "confd/etc/calico/confd", To: "etc/calico/confd", WithoutLines: "krt_tunnel = "},
		},
		Links: map[string]string{
			// The probes name these; birdc speaks the same protocol as birdcl.
			"usr/bin/birdcl": "../sbin/birdc", "usr/bin/birdcl6": "../sbin/birdc6",
			"var/run": "../run",
		},
		Directories: []string{
			"dev", "etc/calico/confd/config", "proc", "run/calico", "sys", "tmp", "var/lib/calico", "var/log/calico",
		},
	}
	for _, applet := range []string{"sh", "ash", "awk", "cat", "chmod", "cp", "cut", "env", "grep", "head", "ls", "mkdir", "mv", "ps", "rm", "sed", "sleep", "tail", "tee", "touch", "which"} {
		s.Links["usr/bin/"+applet] = "busybox"
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, command := range []string{"", "-save", "-restore"} {
			s.Links["usr/sbin/"+family+command] = "xtables-nft-multi"
			s.Links["usr/sbin/"+family+"-nft"+command] = "xtables-nft-multi"
			s.Links["usr/sbin/"+family+"-legacy"+command] = "xtables-legacy-multi"
		}
	}
	return s
}
