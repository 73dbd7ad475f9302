package action

import "time"

// Schema is the only schema identifier that this package accepts.
const Schema = "slipway.build/action/v1"

// Kind is what is to be done.
type Kind string

// The kinds. The list is closed.
const (
	Restart Kind = "restart" // restart one unit of the current plan
	Pull    Kind = "pull"    // fetch and verify images ahead of a plan, without switching to them
	Renew   Kind = "renew"   // renew certificates of the current plan
	Bundle  Kind = "bundle"  // collect the support archive and deliver it
	Check   Kind = "check"   // run checks and tell what they found
	Reboot  Kind = "reboot"  // restart the machine
	Logs    Kind = "logs"    // tell the last lines of one unit's log
)

// Kinds returns all kinds, those first that only look.
func Kinds() []Kind { return []Kind{Check, Logs, Bundle, Pull, Restart, Renew, Reboot} }

// Repeatable reports whether an action of the kind may be begun again when the agent died in its
// middle: the others are done at most once, and told to be interrupted.
func (k Kind) Repeatable() bool {
	switch k {
	case Pull, Renew, Bundle, Check, Logs:
		return true
	}
	return false
}

// Changes reports whether the kind changes what runs on the node. Those are refused while a plan
// is being switched to, and never run beside one another.
func (k Kind) Changes() bool {
	switch k {
	case Restart, Renew, Reboot:
		return true
	}
	return false
}

// CheckName names one check.
type CheckName string

// The checks. The list is closed.
const (
	CheckVerify       CheckName = "verify"       // files and processes against the signed lock
	CheckUnits        CheckName = "units"        // the units of the current plan are as they should
	CheckProbes       CheckName = "probes"       // the components answer their own probes
	CheckDisk         CheckName = "disk"         // free space and files
	CheckMemory       CheckName = "memory"       // free memory and what waits for it
	CheckClock        CheckName = "clock"        // the clock is synchronized, and the control plane's
	CheckCertificates CheckName = "certificates" // none has expired or is about to
	CheckAPI          CheckName = "api"          // what components wait for elsewhere answers: the cluster's API
	CheckEtcd         CheckName = "etcd"         // etcd's health, alarms and latency, where the plan has it
)

// Checks returns the names of all checks.
func Checks() []CheckName {
	return []CheckName{CheckUnits, CheckProbes, CheckDisk, CheckMemory, CheckClock, CheckCertificates, CheckAPI, CheckEtcd, CheckVerify}
}

// Request asks one node for one action.
type Request struct {
	Schema string `json:"schema"`
	ID     string `json:"id"`     // UUID, made once
	Node   string `json:"node"`   // UUID of the node; another refuses
	Number uint64 `json:"number"` // counts the node's requests from 1 on
	Kind   Kind   `json:"kind"`
	// Arguments has no fields but those of the kind.
	Arguments Arguments `json:"arguments"`
	Actor     string    `json:"actor"` // who asked, such as "user:alice"; for the audit
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"` // it must have begun before; at most MaxLife after Issued
}

// MaxLife is the longest time between Issued and Expires.
const MaxLife = 24 * time.Hour

// Arguments are the arguments of all kinds.
type Arguments struct {
	// Unit of Restart and Logs: a unit of the current plan; for Logs also the agent's own.
	Unit string `json:"unit,omitempty"`
	// Lines of Logs: 1 to MaxLines.
	Lines int `json:"lines,omitempty"`
	// Checks of Check: at least one.
	Checks []CheckName `json:"checks,omitempty"`
	// Certificates of Renew, by their names in the current plan; all of them when empty.
	Certificates []string `json:"certificates,omitempty"`
	// Images of Pull: at least one. Each must stand in the signed lock with the digest Lock.
	Images     []Image  `json:"images,omitempty"`
	Lock       string   `json:"lock,omitempty"`
	Registries []string `json:"registries,omitempty"` // base URLs in the order in which they are tried
}

// MaxLines bounds the lines of Logs.
const MaxLines = 1000

// Image is one image to pull, as in a plan.
type Image struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"` // sha256:… of the platform manifest
	// Import is set for an image that plans give to the pods' runtime: it is kept as it came.
	Import bool `json:"import,omitempty"`
}
