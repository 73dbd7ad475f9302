package components

import (
	"path"
	"strconv"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/units"
)

// Component is one program that runs on a node as a unit of its own.
type Component struct {
	Name        string // the unit is slipway-<Name>.service
	Description string
	Image       string // name in the lock
	Binary      string // path in the image
	Tools       []string
	// User is the user on the node that the program runs as. A component with a user of its
	// own is confined to its image; one of root sees the node's namespaces.
	User  string
	After []string // units that must be ready before this one starts
	Args  []string
	Env   []string // KEY=value; a component inherits nothing

	Certificates []string    // purposes; the keys belong to User
	Secrets      []string    // names; read as systemd credentials
	Files        []File      // its configuration
	Mounts       []Mount     // further paths of the node that a confined component sees
	Directories  string      // StateDirectory= of the unit, relative to /var/lib; empty for none
	Ports        []Port      // where it listens; security groups and documentation read this
	Families     []string    // address families beside AF_INET, AF_INET6 and AF_UNIX
	Limits       Limits      //
	Needs        []string    // programs of the node's OS without which it does not start
	Service      [][2]string // options of [Service] that only this component needs
	State        *plan.State
	Await        *plan.Probe // asked before the start, for as long as it takes
	Ready, Live  *plan.Probe
	Checks       []plan.Check // what the agent reports about it beside its unit's health
}

// File is a configuration file of a component, below files/<component>/ of the generation.
type File struct {
	Name    string
	Content string
}

// Mount is a path of the node that a confined component sees at the same place.
type Mount struct {
	Path     string
	Writable bool
}

// Port is where a component listens.
type Port struct {
	Number  int
	Address string // "node" for every address of the node, "loopback"
	For     string // what is served there
}

// Limits bound one unit. Zero means: no limit.
type Limits struct {
	MemoryMiB int // MemoryMax=
	Tasks     int // TasksMax=
	CPUWeight int // CPUWeight=, 100 is systemd's default
}

// unit returns the name of a component's unit.
func unit(component string) string { return "slipway-" + component + ".service" }

// file is where a component finds its configuration file, in its root and on the node.
func file(component, name string) string {
	return path.Join(plan.Current, "files", component, name)
}

// certificate and key are where the pair for a purpose is, in roots and on the node.
func certificate(purpose string) string { return path.Join(plan.PKI, purpose, "tls.crt") }
func key(purpose string) string         { return path.Join(plan.PKI, purpose, "tls.key") }

// credential is where systemd shows a component the secret of that name.
func credential(component, secret string) string {
	return path.Join("/run/credentials", unit(component), secret)
}

// loopbackURL is a probe's address on this node.
func loopbackURL(scheme string, port int, p string) string {
	return scheme + "://127.0.0.1:" + strconv.Itoa(port) + p
}

// alive is how a component's own health is asked for once it runs: seldom, patiently, so
// that a node under load does not restart what only is slow.
func alive(url, ca string) *plan.Probe {
	return &plan.Probe{
		URL: url, CA: ca, Timeout: plan.Duration(5 * time.Second), Interval: plan.Duration(10 * time.Second), Failures: 6,
	}
}

// ready is how a starting component is asked whether others may count on it.
func ready(url, ca string) *plan.Probe {
	return &plan.Probe{URL: url, CA: ca, Timeout: plan.Duration(2 * time.Second)}
}

// awaitAPI keeps a client of the API from starting before the API answers: its own back-off
// would make the node late by seconds.
func awaitAPI(c Cluster, n Node, ca string) *plan.Probe {
	p := ready(c.endpoint(n.Role)+"/readyz", ca)
	p.Timeout = plan.Duration(5 * time.Second)
	return p
}

// memory scales a limit for a node of 4 GiB to the node's size: share is the part of the
// node's memory, in percent, that the component may take at most.
func (n Node) memory(floor, share int) int { return max(floor, n.MemoryMiB*share/100) }

// service is the part of a unit that all components share.
func service(description string, after []string) units.Unit {
	var u units.Unit
	u.Add("Unit", "Description", description)
	u.Add("Unit", "Wants", "network-online.target")
	u.Add("Unit", "After", "network-online.target")
	for _, a := range after {
		u.Add("Unit", "After", a)
	}
	// A component is restarted for as long as it takes; the agent reports how often.
	u.Add("Unit", "StartLimitIntervalSec", "0")
	u.Add("Service", "Type", "notify")
	u.Add("Service", "NotifyAccess", "main")
	u.Add("Service", "Restart", "always")
	u.Add("Service", "RestartSec", "1s")
	return u
}
