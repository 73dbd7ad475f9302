// Package luks describes encrypted volumes: LUKS2 with AES-256 in XTS mode, opened by Tang
// servers or by the machine's TPM, and mounted.
package luks

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What every volume is encrypted with. XTS takes two keys: 512 bits are AES-256. cryptsetup has
// the same as defaults today; written out they do not depend on its version.
const (
	Cipher  = "aes-xts-plain64"
	KeySize = "512"
)

// Tang is a server that takes part in opening a volume.
type Tang struct {
	URL        string
	Thumbprint string // of its signing key
}

// Volume is an encrypted volume. Ignition always makes LUKS2.
type Volume struct {
	Name   string // of the mapping: /dev/mapper/Name
	Device string // the block device beneath
	TPM2   bool
	Tang   []Tang
	// Threshold is how many of the servers and the TPM are needed; 1 when 0.
	Threshold int
	// Mount is a directory below /var, or "" for none; Format the file system, xfs when empty.
	Mount, Format string
	// Keep leaves a volume that is there already alone, instead of wiping the device.
	Keep bool
}

var name = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Check reports what is wrong with the volume.
func (v Volume) Check() error {
	keys := len(v.Tang)
	if v.TPM2 {
		keys++
	}
	var wrong []error
	bad := func(format string, a ...any) { wrong = append(wrong, fmt.Errorf(format, a...)) }
	if !name.MatchString(v.Name) {
		bad("name %q: want letters, digits, dots and dashes", v.Name)
	}
	if !path.IsAbs(v.Device) || path.Clean(v.Device) != v.Device {
		bad("device %q: want an absolute path", v.Device)
	}
	if keys == 0 {
		bad("nothing opens it: name a tang server or tpm2")
	}
	if v.Threshold < 0 || v.Threshold > keys {
		bad("threshold %d of %d", v.Threshold, keys)
	}
	for _, t := range v.Tang {
		if u, err := url.Parse(t.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad("tang server %q: want a URL", t.URL)
		}
		if t.Thumbprint == "" {
			bad("tang server %s: without the thumbprint of its key anybody could answer for it", t.URL)
		}
	}
	if v.Mount != "" && (path.Clean(v.Mount) != v.Mount || !strings.HasPrefix(v.Mount, "/var/")) {
		bad("mount point %q: want a directory below /var", v.Mount)
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return nil
}

// Butane returns the volume as a Butane configuration of the version 1.5.0, the first that can
// say all of it.
func (v Volume) Butane() ([]byte, error) {
	if err := v.Check(); err != nil {
		return nil, err
	}
	clevis := map[string]any{"threshold": max(v.Threshold, 1)}
	if v.TPM2 {
		clevis["tpm2"] = true
	}
	var tang []any
	for _, t := range v.Tang {
		tang = append(tang, map[string]any{"url": t.URL, "thumbprint": t.Thumbprint})
	}
	if tang != nil {
		clevis["tang"] = tang
	}
	storage := map[string]any{"luks": []any{map[string]any{
		"name": v.Name, "label": v.Name, "device": v.Device, "wipe_volume": !v.Keep, "clevis": clevis,
		"options": []string{"--cipher", Cipher, "--key-size", KeySize},
	}}}
	if v.Mount != "" {
		format := v.Format
		if format == "" {
			format = "xfs"
		}
		storage["filesystems"] = []any{map[string]any{
			"device": "/dev/mapper/" + v.Name, "path": v.Mount, "format": format, "label": label(v.Name), "wipe_filesystem": !v.Keep, "with_mount_unit": true,
		}}
	}
	b, err := yaml.Marshal(map[string]any{"variant": "fcos", "version": "1.5.0", "storage": storage})
	if err != nil {
		return nil, fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return b, nil
}

// label cuts a name to the 12 bytes that XFS has for one.
func label(s string) string { return s[:min(len(s), 12)] }

// Parse reads a volume in the form NAME=DEVICE[,tpm2][,tang=URL#THUMBPRINT]...[,threshold=N][,mount=DIRECTORY][,format=FS][,keep].
func Parse(text string) (Volume, error) {
	fields := strings.Split(text, ",")
	v := Volume{}
	v.Name, v.Device, _ = strings.Cut(fields[0], "=")
	for _, f := range fields[1:] {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "tpm2":
			v.TPM2 = true
		case "keep":
			v.Keep = true
		case "tang":
			server, thumbprint, _ := strings.Cut(value, "#")
			v.Tang = append(v.Tang, Tang{server, thumbprint})
		case "threshold":
			n, err := strconv.Atoi(value)
			if err != nil {
				return Volume{}, fmt.Errorf("volume %s: threshold %q is no number", v.Name, value)
			}
			v.Threshold = n
		case "mount":
			v.Mount = value
		case "format":
			v.Format = value
		default:
			return Volume{}, fmt.Errorf("volume %s: %q is unknown; want tpm2, tang=URL#THUMBPRINT, threshold=N, mount=DIRECTORY, format=FS or keep", v.Name, f)
		}
	}
	return v, v.Check()
}
