package collect

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/heat/metadata"
)

// Drive is where the configuration drive is looked for.
type Drive struct {
	Labels string // /dev/disk/by-label
	Mounts string // /proc/self/mounts
	// Mount mounts a device read-only; unix's when nil.
	Mount func(device, dir string) (unmount func() error, err error)
}

// SystemDrive is the one of this machine.
func SystemDrive() Drive { return Drive{Labels: "/dev/disk/by-label", Mounts: "/proc/self/mounts"} }

// Read returns ec2/latest/meta-data.json of the configuration drive (label config-2, vfat or
// iso9660). What somebody else has mounted is read where it is.
func (d Drive) Read() (json.RawMessage, error) {
	device := ""
	for _, label := range []string{"config-2", "CONFIG-2"} {
		if path, err := filepath.EvalSymlinks(filepath.Join(d.Labels, label)); err == nil {
			device = path
			break
		}
	}
	if device == "" {
		return nil, errors.New("no configuration drive")
	}
	if dir := d.mounted(device); dir != "" {
		return readDrive(dir)
	}
	dir, err := os.MkdirTemp("", "slipway-config-2-")
	if err != nil {
		return nil, fmt.Errorf("read the configuration drive: %w", err)
	}
	defer func() { _ = os.Remove(dir) }()
	mount := d.Mount
	if mount == nil {
		mount = mountReadOnly
	}
	unmount, err := mount(device, dir)
	if err != nil {
		return nil, fmt.Errorf("mount the configuration drive %s: %w", device, err)
	}
	raw, err := readDrive(dir)
	return raw, errors.Join(err, unmount())
}

func readDrive(dir string) (json.RawMessage, error) {
	file, err := os.Open(filepath.Join(dir, "ec2", "latest", "meta-data.json"))
	if err != nil {
		return nil, fmt.Errorf("read the configuration drive: %w", err)
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, metadata.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration drive: %w", err)
	}
	if len(raw) > metadata.MaxSize {
		return nil, fmt.Errorf("read the configuration drive: meta-data.json has more than the limit of %d bytes", metadata.MaxSize)
	}
	if !json.Valid(raw) {
		return nil, errors.New("read the configuration drive: meta-data.json is not JSON")
	}
	return raw, nil
}

// mounted returns where a device is mounted, "" when it is not.
func (d Drive) mounted(device string) string {
	file, err := os.Open(d.Mounts)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 1 && fields[0] == device {
			return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[1])
		}
	}
	return ""
}

func mountReadOnly(device, dir string) (func() error, error) {
	var err error
	for _, kind := range []string{"iso9660", "vfat"} {
		if err = unix.Mount(device, dir, kind, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err == nil {
			return func() error { return unix.Unmount(dir, unix.MNT_DETACH) }, nil
		}
	}
	return nil, err
}
