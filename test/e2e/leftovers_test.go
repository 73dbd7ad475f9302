//go:build e2e

package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// leftovers lists what of a Slipway is on this machine, without asking Slipway: processes,
// links, network name spaces, nftables tables, mounts, cgroups and state. All that Slipway
// makes on a host has a name that begins with "slip".
func leftovers(t *testing.T) []string {
	t.Helper()
	var found []string
	add := func(kind, name string) { found = append(found, kind+" "+name) }

	for _, l := range strings.Split(output(t, "ip", "-o", "link"), "\n") {
		if f := strings.Fields(l); len(f) > 1 && strings.HasPrefix(f[1], "slip") {
			add("link", strings.TrimSuffix(f[1], ":"))
		}
	}
	names, err := os.ReadDir("/run/netns")
	if err == nil {
		for _, n := range names {
			if strings.HasPrefix(n.Name(), "slip") {
				add("network name space", n.Name())
			}
		}
	}
	for _, l := range strings.Split(output(t, "nft", "list", "tables"), "\n") {
		if f := strings.Fields(l); len(f) == 3 && strings.HasPrefix(f[2], "slip") {
			add("nftables table", f[2])
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(l); len(f) > 4 && (strings.HasPrefix(f[4], "/var/lib/slip") || strings.HasPrefix(f[4], "/run/slip")) {
			add("mount", f[4])
		}
	}
	found = append(found, processes(t)...)
	cgroups := []string{}
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "slip") {
			cgroups = append(cgroups, "cgroup "+path)
			return fs.SkipDir
		}
		return nil
	})
	found = append(found, cgroups...)
	if _, err := os.Stat(state); err == nil {
		add("directory", state)
	}
	return found
}

// processes lists slipwayd, agents, and containers of the local cloud.
func processes(t *testing.T) []string {
	t.Helper()
	var found []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(b) == 0 {
			continue
		}
		argv := bytes.Split(b, []byte{0})
		program := filepath.Base(string(argv[0]))
		switch {
		case program == "slipwayd", program == "slipway-agent", program == "systemd-nspawn" && bytes.Contains(b, []byte("slip")):
			found = append(found, "process "+e.Name()+" "+program)
		}
	}
	return found
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}
