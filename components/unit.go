package components

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/units"
)

// ExitRefused is the exit status with which slipway-exec says that a start is refused
// for a reason that no retry heals, such as a binary with another digest (EX_CONFIG of
// sysexits.h). systemd does not restart a unit that ends with it.
const ExitRefused = 78

// Unit renders the component's unit. Its text also holds the digest of the component's
// files, so that a change of configuration is a change of the unit.
func (p Component) Unit(c Cluster) (plan.Unit, error) {
	name := unit(p.Name)
	u := service(p.Description, p.After)
	u.Name = name
	if len(p.Files) > 0 {
		u.Add("Unit", "X-Slipway-Files", digest(p.Files))
	}
	for _, needed := range p.Needs {
		u.Add("Unit", "AssertFileIsExecutable", needed)
	}
	set := func(option, value string) { u.Add("Service", option, value) }
	set("RestartPreventExitStatus", strconv.Itoa(ExitRefused))
	set("SyslogIdentifier", p.Name)
	set("TimeoutStartSec", "30s") // the supervisor extends it for as long as the component is starting
	set("TimeoutStopSec", "30s")
	set("TimeoutAbortSec", "15s") // after the watchdog: what hangs ends no better by waiting
	set("WatchdogSec", "90s")
	set("LimitNOFILE", "1048576")
	exec := path.Join(plan.Current, "exec", name+".json")
	mounts := []string(nil)
	if p.User == "" {
		if err := p.host(&u, exec); err != nil {
			return plan.Unit{}, err
		}
	} else {
		var err error
		if mounts, err = p.confine(&u, exec, c); err != nil {
			return plan.Unit{}, err
		}
	}
	for _, secret := range p.Secrets {
		set("LoadCredential", secret+":"+path.Join(plan.Secrets, c.secret(secret)))
	}
	if p.Directories != "" {
		set("StateDirectory", p.Directories)
		set("StateDirectoryMode", "0700")
	}
	p.limits(set)
	for _, o := range p.Service {
		set(o[0], o[1])
	}
	text, err := u.Render()
	if err != nil {
		return plan.Unit{}, fmt.Errorf("unit of %s: %w", p.Name, err)
	}
	return plan.Unit{Name: name, Text: text, Start: true, Exec: &plan.Exec{
		Image: p.Image, Binary: p.Binary, Args: p.Args, Env: p.Env, Tools: p.Tools, Mounts: mounts,
		State: p.State, Await: p.Await, Ready: p.Ready, Live: p.Live,
	}}, nil
}

// host runs the program in the node's own namespaces.
func (p Component) host(u *units.Unit, exec string) error {
	line, err := units.CommandLine(plan.ExecBinary, exec)
	if err != nil {
		return err
	}
	u.Add("Service", "ExecStart", line)
	return nil
}

// confine runs the program as its user with its image as read-only root, no capability and
// no privilege to gain, and returns the directories that the root must have for mounts.
func (p Component) confine(u *units.Unit, exec string, c Cluster) ([]string, error) {
	line, err := units.CommandLine(plan.ExecInRoot, plan.SpecInRoot)
	if err != nil {
		return nil, err
	}
	set := func(option, value string) { u.Add("Service", option, value) }
	set("ExecStart", line)
	set("User", p.User)
	set("RootDirectory", path.Join(plan.Current, "roots", p.Image))
	set("MountAPIVFS", "yes")
	var mounts []string
	bind := func(option, source, destination string) error {
		word, err := units.BindPath(source, destination)
		if err != nil {
			return fmt.Errorf("unit of %s: %w", p.Name, err)
		}
		set(option, word)
		return nil
	}
	if err := bind("BindReadOnlyPaths", plan.ExecBinary, plan.ExecInRoot); err != nil {
		return nil, err
	}
	if err := bind("BindReadOnlyPaths", exec, plan.SpecInRoot); err != nil {
		return nil, err
	}
	paths := []Mount{}
	if len(p.Files) > 0 {
		paths = append(paths, Mount{Path: file(p.Name, "")})
	}
	for _, purpose := range p.Certificates {
		paths = append(paths, Mount{Path: path.Join(plan.PKI, purpose)})
	}
	for _, m := range append(paths, p.Mounts...) {
		option := "BindReadOnlyPaths"
		if m.Writable {
			option = "BindPaths"
		}
		if err := bind(option, m.Path, m.Path); err != nil {
			return nil, err
		}
		mounts = append(mounts, strings.TrimPrefix(m.Path, "/"))
	}
	if p.Directories != "" {
		mounts = append(mounts, path.Join("var/lib", p.Directories))
	}
	for _, o := range [][2]string{
		{"CapabilityBoundingSet", ""},
		{"NoNewPrivileges", "yes"},
		{"ProtectSystem", "strict"},
		{"ProtectHome", "read-only"},
		{"ProtectProc", "invisible"},
		{"PrivateDevices", "yes"},
		{"PrivateIPC", "yes"},
		{"ProtectClock", "yes"},
		{"ProtectControlGroups", "yes"},
		{"ProtectHostname", "yes"},
		{"ProtectKernelLogs", "yes"},
		{"ProtectKernelModules", "yes"},
		{"ProtectKernelTunables", "yes"},
		{"RemoveIPC", "yes"},
		{"LockPersonality", "yes"},
		{"MemoryDenyWriteExecute", "yes"},
		{"RestrictNamespaces", "yes"},
		{"RestrictRealtime", "yes"},
		{"RestrictSUIDSGID", "yes"},
		{"RestrictAddressFamilies", strings.Join(append([]string{"AF_INET", "AF_INET6", "AF_UNIX"}, p.Families...), " ")},
		{"SystemCallArchitectures", "native"},
		{"SystemCallFilter", "@system-service"},
		{"SystemCallErrorNumber", "EPERM"},
		{"UMask", "0077"},
		{"KillMode", "mixed"},
	} {
		set(o[0], o[1])
	}
	return mounts, nil
}

// limits adds what the component may take of the node.
func (p Component) limits(set func(option, value string)) {
	for _, l := range []struct {
		option string
		value  int
		suffix string
	}{
		{"MemoryMax", p.Limits.MemoryMiB, "M"}, {"TasksMax", p.Limits.Tasks, ""}, {"CPUWeight", p.Limits.CPUWeight, ""},
	} {
		if l.value > 0 {
			set(l.option, strconv.Itoa(l.value)+l.suffix)
		}
	}
}

// digest returns one digest over names and contents of files.
func digest(files []File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d %s %d %s", len(f.Name), f.Name, len(f.Content), f.Content)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
