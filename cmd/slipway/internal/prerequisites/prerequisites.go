// Package prerequisites checks that the programs and rights that a local cloud needs are
// there, before anything is begun.
package prerequisites

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Program is a program that must be there.
type Program struct {
	Name    string   // found in PATH
	Paths   []string // or at one of these, for programs outside of PATH
	Package string   // Debian's package that has it
}

// Programs is what building images and running the local cloud call.
func Programs() []Program {
	return []Program{
		{Name: "go", Package: "1.26 or later"},
		{Name: "systemd-nspawn", Package: "systemd-container"},
		{Name: "debootstrap", Package: "debootstrap"},
		{Name: "ignition", Paths: []string{"/usr/lib/dracut/modules.d/30ignition/ignition"}, Package: "ignition"},
		{Name: "haproxy", Package: "haproxy"},
		{Name: "nft", Package: "nftables"},
		{Name: "ip", Package: "iproute2"},
		{Name: "setpriv", Package: "util-linux"},
	}
}

// Host is what is asked about this machine.
type Host struct {
	LookPath func(string) (string, error)
	Exists   func(string) bool
	UID      int
}

// ThisHost is the machine that the program runs on.
func ThisHost() Host {
	return Host{
		LookPath: exec.LookPath,
		Exists:   func(p string) bool { _, err := os.Stat(p); return err == nil },
		UID:      os.Getuid(),
	}
}

// Check returns one error that names all that is missing and what to do about it.
func Check(h Host, programs []Program) error {
	var problems []error
	if h.UID != 0 {
		problems = append(problems, errors.New("root is needed: name spaces, mounts and containers are made on this machine"))
	}
	var missing []string
	for _, p := range programs {
		if !h.has(p) {
			missing = append(missing, fmt.Sprintf("%s (%s)", p.Name, p.Package))
		}
	}
	if len(missing) > 0 {
		problems = append(problems, fmt.Errorf("missing: %s; `make deps` installs them", strings.Join(missing, ", ")))
	}
	return errors.Join(problems...)
}

func (h Host) has(p Program) bool {
	if _, err := h.LookPath(p.Name); err == nil {
		return true
	}
	// sbin is not in everybody's PATH.
	for _, path := range append([]string{"/usr/sbin/" + p.Name, "/sbin/" + p.Name}, p.Paths...) {
		if h.Exists(path) {
			return true
		}
	}
	return false
}
