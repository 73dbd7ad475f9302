package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"strings"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/plan"
)

// class is what a policy is for.
type class string

const (
	files    class = "files"
	units    class = "units"
	execs    class = "exec"
	binaries class = "binaries"
	keys     class = "keys"
)

// want is how one thing should be.
type want struct {
	path  string // absolute
	class class
	mode  fs.FileMode // 0 for files of images, of which only the write bits count
	owner int         // uid
	sum   [sha256.Size]byte
	size  int64
	// store is the file of the image store that a link shares its bytes with, "" for others.
	store string
	// opaque is set for keys and secrets: contents are not looked at.
	opaque bool
}

func (w *want) isDir() bool  { return w.mode.IsDir() }
func (w *want) isLink() bool { return w.store != "" }

// classOf is the class of a thing in a generation, by its relative path.
func classOf(item generation.Item) class {
	top, _, _ := strings.Cut(item.Path, "/")
	switch {
	case item.IsLink():
		return binaries
	case top == "units", item.Path == "start":
		return units
	case top == "exec", top == "roots":
		return execs
	default:
		return files
	}
}

// wantOf turns an item of a generation in dir into how it should be.
func wantOf(dir string, item generation.Item) *want {
	w := &want{path: dir + "/" + item.Path, class: classOf(item), mode: item.Mode, store: item.Store, size: int64(len(item.Content))}
	if item.IsLink() {
		w.mode, w.size = 0, item.Size
		_, _ = hex.Decode(w.sum[:], []byte(item.SHA256))
	} else if !item.IsDir() {
		w.sum = sha256.Sum256(item.Content)
	}
	return w
}

// policyOf returns what a plan wants done about a class.
func policyOf(d *plan.Drift, c class) plan.Policy {
	if d == nil {
		d = &plan.Drift{}
	}
	switch c {
	case units:
		return d.Units.Or(plan.DriftRepair)
	case execs:
		return d.Exec.Or(plan.DriftRepair)
	case binaries:
		return d.Binaries.Or(plan.DriftQuarantine)
	case keys:
		return d.Keys.Or(plan.DriftRepair)
	default:
		return d.Files.Or(plan.DriftRepair)
	}
}
