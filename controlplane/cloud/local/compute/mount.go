package compute

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// overlay mounts the image's layers with upper on top of them at target.
func overlay(target string, layers []string, upper, work string) error {
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`)
	lower := make([]string, len(layers))
	for i, l := range layers {
		lower[i] = escape.Replace(l)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(lower, ":"), escape.Replace(upper), escape.Replace(work))
	if err := unix.Mount("slipway", target, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount the root file system at %s: %w", target, err)
	}
	return nil
}

// bind mounts a directory a second time.
func bind(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", source, target, err)
	}
	return nil
}

// mountsBelow returns the mount points that are dir or lie below it, in the order in which
// they were mounted.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			if p := unescape.Replace(fields[4]); p == dir || strings.HasPrefix(p, dir+"/") {
				points = append(points, p)
			}
		}
	}
	return points, lines.Err()
}

func mounted(path string) (bool, error) {
	points, err := mountsBelow(path)
	return slices.Contains(points, path), err
}

// unmountBelow unmounts dir and all that is mounted below it. What is still in use is detached
// and goes when its last user does.
func unmountBelow(dir string) error {
	points, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(points) {
		err := unix.Unmount(p, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", p, err)
		}
	}
	return nil
}
