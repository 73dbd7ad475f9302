package ignition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// DebianBinary is where Debian's package ignition has the program.
const DebianBinary = "/usr/lib/dracut/modules.d/30ignition/ignition"

// Runner applies user data with Ignition's own program.
type Runner struct {
	Binary string // default DebianBinary
}

// script is run in a mount namespace of its own, with the node's root as working directory. What
// Ignition needs lies in a file system of memory: the user data (from standard input), its
// own state, and the root itself, because Ignition writes a user's files as that user, for whom
// the directories above the root may be closed. Ignition labels what it wrote by setfiles; a node without
// SELinux has nothing to label.
const script = `set -eu
umask 022
mount -t tmpfs -o mode=0755 slipway /mnt
mkdir /mnt/sysroot
mount --rbind . /mnt/sysroot
cd /mnt
(umask 077 && cat >user-data)
ln -s /bin/true setfiles
export PATH="/mnt:$PATH" IGNITION_CONFIG_FILE=/mnt/user-data
for stage in fetch files; do
	"$1" --stage "$stage" --platform file --root /mnt/sysroot --log-to-stdout \
		--config-cache /mnt/config.json --state-file /mnt/state --neednet /mnt/neednet
done
`

// Apply runs the stages fetch and files of Ignition on the file system below root, as the
// initial RAM disk of Fedora CoreOS does before a node's first boot. The provider is "file": it
// hands Ignition the bytes of userData as they are. Root is required.
//
// Apply is not to be repeated on a root where it has succeeded; one where it was interrupted is
// to be made anew.
func (r Runner) Apply(ctx context.Context, root string, userData []byte) error {
	binary := r.Binary
	if binary == "" {
		binary = DebianBinary
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("apply user data: install the package ignition: %w", err)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script, "ignition", binary)
	cmd.Dir = root
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.Stdin = bytes.NewReader(userData)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID, // all of it dies with the shell, and that with us
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
		Credential:   &syscall.Credential{Groups: []uint32{0}},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	runtime.LockOSThread() // the death signal follows the thread that started the process
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apply user data: %w: %s", errors.Join(err, ctx.Err()), reason(out.String()))
	}
	return nil
}

// reason picks Ignition's own words about a failure. The rest of its output may show the
// configuration, and with it the join token.
func reason(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		level, text, ok := strings.Cut(line, " : ")
		switch {
		case ok && (strings.HasPrefix(level, "CRITICAL") || strings.HasPrefix(level, "ERROR")):
			lines = append(lines, strings.TrimSpace(text))
		case strings.HasPrefix(line, "mount:"): // the script's
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "; ")
}
