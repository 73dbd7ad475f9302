package testimages

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"slipway.build/slipway/imagebuild/debian"
)

// The sets of packages. The tools are what tests execute in their pods: bash, curl, nc, dig, ss
// and hostname as upstream's images have them, busybox for the rest. The server is nginx.
const (
	toolSet    = "tools"
	serverSet  = "server"
	busyboxSet = "busybox"
)

// wanted names the packages of each set, without what they need.
func wanted() map[string][]string {
	return map[string][]string{
		busyboxSet: {"bash-static", "busybox-static"},
		toolSet:    {"bash", "bind9-dnsutils", "curl", "hostname", "iproute2", "libc-bin", "netcat-openbsd"},
		serverSet:  {"nginx"},
	}
}

// needed leaves out what no test reads: manuals, translations, character sets, package scripts.
func needed(name string) bool {
	for _, dir := range []string{"usr/share", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/systemd", "var", "etc/init.d", "etc/cron.d", "etc/logrotate.d", "etc/ufw"} {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return strings.HasPrefix(name, "usr/share/nginx/")
		}
	}
	return true
}

// base is what an image of tools has beside packages.
func base() tree {
	t := tree{}
	for _, top := range debian.Merged() {
		t[top] = symlink("usr/" + top)
	}
	return t
}

// accounts are the users of every image that has a shell. The user in the middle is one that a
// test of supplementary groups looks for.
func accounts() tree {
	return tree{
		"etc/passwd": text("root:x:0:0:root:/root:/bin/sh\n" +
			"daemon:x:1:1:daemon:/:/bin/false\n" +
			"www-data:x:33:33:www-data:/var/www:/bin/false\n" +
			"user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n" +
			"nobody:x:65534:65534:nobody:/:/bin/false\n"),
		"etc/group": text("root:x:0:\n" +
			"daemon:x:1:\n" +
			"www-data:x:33:\n" +
			"user-defined-in-image:x:1000:\n" +
			"group-defined-in-image:x:50000:user-defined-in-image\n" +
			"nogroup:x:65534:\n"),
		"root": directory(0o700),
		"tmp":  directory(0o1777),
		"var":  directory(0o755),
	}
}

// merge adds other trees; a later one's node takes an earlier one's place.
func (t tree) merge(others ...tree) tree {
	for _, o := range others {
		for name, n := range o {
			t[name] = n
		}
	}
	return t
}

// busybox returns the links of every applet to the program, which says itself what it has.
// place gives a link its path, or "" for none.
func busybox(ctx context.Context, program []byte, place func(string) string) (tree, error) {
	dir, err := os.MkdirTemp("", "slipway-busybox-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "busybox")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, file, "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("ask busybox for its applets: %w", err)
	}
	t := tree{}
	for _, applet := range strings.Fields(string(out)) {
		if !fs.ValidPath(applet) {
			return nil, fmt.Errorf("busybox has an applet at %.200q", applet)
		}
		if at := place(applet); at != "" && path.Base(at) != "busybox" {
			t[at] = symlink("/bin/busybox")
		}
	}
	return t, nil
}
