package plan

import (
	"time"

	"slipway.build/slipway/agent/supervision"
)

// Schema is the only schema identifier that this package accepts.
const Schema = "slipway.build/plan/v1"

// Plan is the desired state of one node. Its JSON form has no unknown fields; maps are not
// used where order matters. Paths named "relative" may not leave their base directory.
type Plan struct {
	Schema     string `json:"schema"`
	Node       Node   `json:"node"`
	Generation uint64 `json:"generation"` // starts at 1, grows with each plan of this node
	// Issued and Expires bound the time in which the plan may be newly applied: UTC, whole seconds.
	// What runs already, and an application that has begun, goes on after Expires.
	Issued  time.Time `json:"issued,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Deployment is the id that the node's own signals (pulling … healthy, failed) carry.
	Deployment string `json:"deployment"`
	// Lock is the sha256 digest of the canonical lock that every image below must stand in.
	Lock string `json:"lock"`
	// Registries are base URLs, in the order in which they are tried.
	Registries []string `json:"registries"`

	Images       []Image       `json:"images"`
	Certificates []Certificate `json:"certificates,omitempty"`
	Secrets      []Secret      `json:"secrets,omitempty"`
	Files        []File        `json:"files,omitempty"`
	Units        []Unit        `json:"units"`
	// Agent is the program that runs as the agent while this generation is current; nil is the
	// one that the OS layer brings, which starts it in any case and takes over when it fails.
	Agent *Agent `json:"agent,omitempty"`
	Tasks []Task `json:"tasks,omitempty"`
	// Checks are looked at for as long as this generation is current.
	Checks []Check `json:"checks,omitempty"`
	// Drift says what is done about changes on the node that no plan asked for.
	Drift *Drift `json:"drift,omitempty"`
	// Deadline bounds the time from the first step of applying the plan until its units are active.
	Deadline Duration `json:"deadline"`
	// Confirm is how long they have to stay active before the generation counts as healthy; until
	// then it is undone when they do not. Zero, and the first generation of a node, which has
	// nothing to go back to, need not.
	Confirm Duration `json:"confirm,omitempty"`
}

// Node says for which node the plan is. An agent refuses a plan for another id.
type Node struct {
	ID      string `json:"id"`      // UUID of the node, as in its certificate
	Name    string `json:"name"`    // host name and Kubernetes node name
	Cluster string `json:"cluster"` // UUID
	Role    string `json:"role"`    // "master" or "worker"; informative for the agent
	Address string `json:"address"` // IPv4 address of the node on the cluster network
}

// Image is one image that the plan uses, by the digest of its manifest for this platform.
type Image struct {
	Name       string `json:"name"`       // the entry's name in the lock
	Repository string `json:"repository"` // path in each registry, such as "slipway/etcd"
	Digest     string `json:"digest"`     // sha256:… of the platform manifest
	// Import, when set, is the reference (by digest) under which the verified image is given
	// to containerd for pods; such an image has no unit of its own.
	Import string `json:"import,omitempty"`
}

// Certificate is a key pair made on the node and certified by the control plane. It appears
// under /var/lib/slipway/pki/<Name>/ as tls.key (0400) and tls.crt (0444), owned by Owner.
type Certificate struct {
	Name    string `json:"name"`
	Purpose string `json:"purpose"` // decided upon by the control plane for the node's role
	Owner   string `json:"owner"`   // user name on the node; "root" when the unit runs as root
	// Restart names the units of this plan that read the pair only when they start, so are restarted,
	// one at a time, after it was renewed. Those that read it again by themselves are not named.
	Restart []string `json:"restart,omitempty"`
}

// Secret is a value fetched from the node API and kept outside the generations, as
// /var/lib/slipway/secrets/<Name>@<Version> (0400, owned by Owner).
type Secret struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Owner   string `json:"owner"`
}

// File is a configuration file of the generation, found at
// /var/lib/slipway/current/files/<Path>. Content must hold nothing secret.
type File struct {
	Path    string `json:"path"` // relative
	Mode    string `json:"mode"` // octal, such as "0444"; never writable by group or other
	Content string `json:"content"`
}

// Unit is one systemd unit of the generation. Text is the whole unit file as the control
// plane rendered it; for a component its ExecStart is slipway-exec, which reads
// Exec from /var/lib/slipway/current/exec/<Name>.json.
type Unit struct {
	Name string `json:"name"` // begins with "slipway-", ends in a systemd suffix
	Text string `json:"text"`
	Exec *Exec  `json:"exec,omitempty"`
	// Start is false for units that others activate.
	Start bool `json:"start"`
}

// Agent names a program for the agent's place.
type Agent struct {
	Image  string `json:"image"`  // name of an image of the plan, not one that is imported
	Binary string `json:"binary"` // relative path in the image; the lock has its sha256
}

// Exec is what slipway-exec runs and how it knows that it is ready and alive.
type Exec struct {
	Image  string   `json:"image"`  // name of an image of the plan
	Binary string   `json:"binary"` // relative path in the image; the lock has its sha256
	Args   []string `json:"args,omitempty"`
	Env    []string `json:"env,omitempty"` // KEY=value
	// Tools are further images whose files must be there before the start; their binaries are
	// verified too. A tool's files appear at /var/lib/slipway/current/roots/<image>/.
	Tools []string `json:"tools,omitempty"`
	// Mounts are directories to make in the component's root for bind mounts, relative.
	Mounts []string `json:"mounts,omitempty"`
	// State is a directory of the host that the component fills. Once the unit has been healthy
	// the agent remembers that it was filled; if Sentinel below it is missing later, the
	// component is not started again, because it would begin anew with somebody else's name.
	State *State `json:"state,omitempty"`
	// Await is asked before the process is started, for as long as it takes: what cannot begin
	// its work yet, such as a kubelet without an API server, starts at the moment when it can
	// instead of in a growing back-off of its own. Other than Ready and Live it may name a peer;
	// once the process runs it is not asked again.
	Await *Probe `json:"await,omitempty"`
	// Ready decides when READY=1 is sent; Live feeds the watchdog and must depend on nothing
	// outside the process. A nil probe means: running is enough.
	Ready *Probe `json:"ready,omitempty"`
	Live  *Probe `json:"live,omitempty"`
}

// What the supervisor of a component reads, too.
type (
	State    = supervision.State
	Probe    = supervision.Probe
	Duration = supervision.Duration
)

// API says how a task reaches the API server or, for the kinds of etcd, the member on this node:
// always the node's own or the cluster's endpoint, always with TLS and a client certificate of
// this plan.
type API struct {
	Server      string `json:"server"`      // https://host:port
	CA          string `json:"ca"`          // absolute path of a PEM bundle on the node
	Certificate string `json:"certificate"` // name of a Certificate of this plan
}

// Object is one Kubernetes object in JSON form.
type Object = map[string]any
