package isolation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/agent/plan"
)

// Expectation is how a component's process is to be confined.
type Expectation struct {
	Component string // its unit is slipway-<Component>.service
	Confined  bool   // has a user and a root of its own; otherwise it is root's in the node's root
	Caps      uint64 // the bounding set; not looked at when Free
	Free      bool   // works on the node's mounts, cgroups and pods: needs root's capabilities
	Writable  []string
}

// Capabilities of capability(7), as bits.
const (
	netAdmin = 1 << 12
	netRaw   = 1 << 13
)

// Expected lists the components of a master, or of a worker.
func Expected(master bool) []Expectation {
	out := []Expectation{
		{Component: "containerd", Free: true},
		{Component: "kubelet", Free: true},
		{Component: "kube-proxy", Caps: netAdmin | netRaw},
	}
	if master {
		out = append(out,
			Expectation{Component: "etcd", Confined: true, Writable: []string{"/var/lib/etcd"}},
			Expectation{Component: "kube-apiserver", Confined: true},
			Expectation{Component: "kube-controller-manager", Confined: true},
			Expectation{Component: "kube-scheduler", Confined: true})
	}
	return out
}

// Unit is the component's unit.
func (e Expectation) Unit() string { return "slipway-" + e.Component + ".service" }

// Faults says in which ways the process is less confined than expected, or not accounted where
// it should be. supervisor is its parent as the kernel has it.
func (e Expectation) Faults(p, supervisor *Process) (faults []string) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	for _, one := range []*Process{p, supervisor} {
		if one.Unit() != e.Unit() {
			fault("process %d is in the cgroup of %s", one.PID, one.Unit())
		}
	}
	if p.Parent != supervisor.PID {
		fault("its parent is %d, not its supervisor %d", p.Parent, supervisor.PID)
	}
	if e.Free {
		return faults
	}
	if !p.NoNewPrivs {
		fault("it may gain privileges")
	}
	if !p.Seccomp {
		fault("no system call is filtered")
	}
	if caps := p.Caps["CapBnd"]; caps&^e.Caps != 0 {
		fault("its capabilities are bounded by %x, want %x", caps, e.Caps)
	}
	if memory, err := p.Memory(); err != nil || memory <= 0 || memory > 1<<40 {
		fault("its memory is not limited in the kernel: %d bytes, %v", memory, err)
	}
	if tasks, err := p.Tasks(); err != nil || tasks <= 0 {
		fault("its tasks are not limited in the kernel: %d, %v", tasks, err)
	}
	if e.Confined {
		faults = append(faults, e.confinement(p)...)
	}
	return faults
}

// ofEvery are the places below which systemd mounts what every confined unit has.
var ofEvery = []string{"/dev", "/proc", "/sys", "/run", "/tmp", plan.ExecInRoot, plan.SpecInRoot}

func (e Expectation) confinement(p *Process) (faults []string) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	if p.Root() {
		fault("it has root among its user ids %v", p.UIDs)
	}
	for set, caps := range p.Caps {
		if caps != 0 {
			fault("its %s is %x", set, caps)
		}
	}
	if !p.ReadOnlyRoot() {
		fault("its root is writable")
	}
	for _, m := range p.Mounts {
		own := m.Point == "/" || strings.HasPrefix(m.Point, "/var/lib/slipway/pki/") ||
			m.Point == "/var/lib/slipway/current/files/"+e.Component || slices.Contains(e.Writable, m.Point)
		every := slices.ContainsFunc(ofEvery, func(base string) bool { return m.Point == base || strings.HasPrefix(m.Point, base+"/") })
		switch {
		case !own && !every:
			fault("it sees %s, which it has not declared", m.Point)
		case own && m.Writable && !slices.Contains(e.Writable, m.Point):
			fault("it can write to %s", m.Point)
		}
	}
	root := filepath.Join("/proc", fmt.Sprint(p.PID), "root")
	programs, err := os.ReadDir(filepath.Join(root, "usr/bin"))
	if err != nil || len(programs) != 1 || programs[0].Name() != e.Component {
		fault("its /usr/bin holds %v (%v)", programs, err)
	}
	return faults
}

// Row is the process as a line of a table: user, capabilities, flags, limits.
func (p *Process) Row() string {
	memory, _ := p.Memory()
	tasks, _ := p.Tasks()
	count := func(n int64, unit string) string {
		if n == 0 {
			return "-"
		}
		return fmt.Sprint(n) + unit
	}
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	return strings.Join([]string{
		p.UIDs[0], fmt.Sprintf("%x", p.Caps["CapEff"]), fmt.Sprintf("%x", p.Caps["CapBnd"]), yes(p.NoNewPrivs), yes(p.Seccomp), yes(p.ReadOnlyRoot()),
		count(memory>>20, " MiB"), count(tasks, ""), fmt.Sprint(len(p.Mounts)),
	}, "\t")
}

// Heading names the columns of Row.
const Heading = "UID\tCAPS\tBOUND\tNNP\tSECCOMP\tRO ROOT\tMEMORY\tTASKS\tMOUNTS"
