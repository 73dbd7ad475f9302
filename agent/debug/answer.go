package debug

import (
	"time"

	"slipway.build/slipway/agent/unitlog"
)

// What an Answer is about.
const (
	KindNode    = "node"
	KindUnit    = "unit"
	KindImage   = "image"
	KindUnknown = "unknown"
)

// Answer is what `slipway-agent why` says about a subject: what is wrong with it, if anything,
// and the chain from what runs up to who asked for it and who vouches for it.
type Answer struct {
	Subject string `json:"subject"`
	Kind    string `json:"kind"`
	State   string `json:"state"`
	// Causes say what is wrong, the likeliest root cause first; none when nothing is.
	Causes  []Cause  `json:"causes,omitempty"`
	Asked   *Asked   `json:"asked,omitempty"`
	Image   *Origin  `json:"image,omitempty"`
	Unit    *Unit    `json:"unit,omitempty"`
	Waits   []Wait   `json:"waits,omitempty"`
	Exit    *Exit    `json:"lastExit,omitempty"`
	UsedBy  []string `json:"usedBy,omitempty"`  // units that use an image
	Nearest []string `json:"nearest,omitempty"` // names like one that is unknown
	// Log holds the lines that matter, secrets redacted, the oldest first.
	Log []unitlog.Line `json:"log,omitempty"`
}

// Cause is one thing that is wrong.
type Cause struct {
	Code string   `json:"code"` // stable: "binary-differs", "port-taken", …
	What string   `json:"what"` // in words, with what was expected and found
	Do   []string `json:"do"`   // what a person can do
}

// Asked says which plan asked for the subject.
type Asked struct {
	Generation   uint64    `json:"generation"`
	Plan         string    `json:"plan,omitempty"` // digest
	Deployment   string    `json:"deployment"`
	ControlPlane string    `json:"controlPlane,omitempty"`
	SignedBy     []string  `json:"signedBy,omitempty"` // ids of the plan's keys
	Accepted     time.Time `json:"accepted,omitzero"`
	Step         string    `json:"step,omitempty"` // of the journal
	Start        bool      `json:"start"`          // whether the plan wants it started
}

// Origin is the chain from an image's bytes to the signed lock and the source.
type Origin struct {
	Name       string   `json:"name"`
	Version    string   `json:"version,omitempty"`
	Repository string   `json:"repository,omitempty"`
	Index      string   `json:"index,omitempty"`
	Manifest   string   `json:"manifest"`
	Config     string   `json:"config,omitempty"`
	Layers     []string `json:"layers,omitempty"`
	Stored     bool     `json:"stored"`
	Files      []File   `json:"files,omitempty"`
	Lock       string   `json:"lock,omitempty"` // digest
	LockKey    string   `json:"lockKey,omitempty"`
	LockFile   string   `json:"lockFile,omitempty"` // of the trusted key
	Module     string   `json:"module,omitempty"`
	Source     string   `json:"source,omitempty"` // version of the module, or the upstream reference
	Sum        string   `json:"sum,omitempty"`
	Toolchain  string   `json:"toolchain,omitempty"`
	// Broken says why the chain ends before the lock.
	Broken string `json:"broken,omitempty"`
}

// File is one file of an image and how it is found on disk.
type File struct {
	Path     string `json:"path"`
	Expected string `json:"expected"` // sha256 by the signed lock
	Found    string `json:"found"`    // sha256 on disk, or why there is none
	Size     int64  `json:"size"`
}

// Unit is what systemd says.
type Unit struct {
	Load     string    `json:"load"`
	Active   string    `json:"active"`
	Sub      string    `json:"sub"`
	Since    time.Time `json:"since,omitzero"`
	Restarts uint32    `json:"restarts"`
	MainPID  uint32    `json:"mainPID,omitempty"`
	Text     string    `json:"text,omitempty"` // what it said of itself last
	Fragment string    `json:"fragment,omitempty"`
	DropIns  []string  `json:"dropIns,omitempty"`
}

// Wait is one thing that the subject waits for.
type Wait struct {
	For  string `json:"for"`            // "await", "ready", "unit", "image"
	On   string `json:"on"`             // URL, unit or image
	Last string `json:"last,omitempty"` // what came of it last
}

// Exit is how the subject's last process ended.
type Exit struct {
	Time    time.Time `json:"time,omitzero"`
	Kind    string    `json:"kind"`   // exited, killed, dumped
	Status  string    `json:"status"` // a number, or a signal's name without SIG
	Result  string    `json:"result,omitempty"`
	Meaning string    `json:"meaning"`
}

// cause adds a cause.
func (a *Answer) cause(code, what string, do ...string) {
	a.Causes = append(a.Causes, Cause{Code: code, What: what, Do: do})
}
