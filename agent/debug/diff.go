package debug

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/units"
)

// Diff is what is different between two generations, and what a switch would do.
type Diff struct {
	From Side `json:"from"`
	To   Side `json:"to"`
	// Units, Images and Files are what is added, gone or changed.
	Units  []UnitChange  `json:"units,omitempty"`
	Images []ImageChange `json:"images,omitempty"`
	Files  []FileChange  `json:"files,omitempty"`
	Other  []string      `json:"other,omitempty"` // certificates, secrets, tasks
	// Switch is what systemd would be asked for on the way from From to To.
	Switch struct {
		Stop    []string `json:"stop,omitempty"`
		Restart []string `json:"restart,omitempty"`
		Start   []string `json:"start,omitempty"`
	} `json:"switch"`
}

// Side is one of the two generations.
type Side struct {
	Generation uint64 `json:"generation"`
	Step       string `json:"step,omitempty"` // of the journal
	Reason     string `json:"reason,omitempty"`
	File       string `json:"file,omitempty"` // where it was read, when it is no generation here
	// Unproven says why its signatures do not hold on this node.
	Unproven string `json:"unproven,omitempty"`
}

// Change says how something differs: "added", "gone" or "changed".
type Change string

// Changes.
const (
	Added   Change = "added"
	Gone    Change = "gone"
	Changed Change = "changed"
)

// UnitChange is one unit that differs.
type UnitChange struct {
	Name    string   `json:"name"`
	Change  Change   `json:"change"`
	Options []string `json:"options,omitempty"` // of the unit file, in words
	Args    []string `json:"args,omitempty"`    // "-" and "+" lines
	Exec    []string `json:"exec,omitempty"`    // what else differs in how it is run
}

// ImageChange is one image that differs.
type ImageChange struct {
	Name   string `json:"name"`
	Change Change `json:"change"`
	From   string `json:"from,omitempty"` // version and manifest
	To     string `json:"to,omitempty"`
}

// FileChange is one configuration file that differs.
type FileChange struct {
	Path   string `json:"path"`
	Change Change `json:"change"`
	Mode   string `json:"mode,omitempty"` // "0444 to 0400"
	Text   string `json:"text,omitempty"` // unified
}

func compare(from, to *side) *Diff {
	d := &Diff{From: from.Side, To: to.Side}
	a, b := from.gen.Plan, to.gen.Plan
	for _, name := range bothNames(a.Units, b.Units, func(u plan.Unit) string { return u.Name }) {
		if change, ok := unitChange(match(a.Units, name), match(b.Units, name)); ok {
			d.Units = append(d.Units, change)
		}
	}
	for _, name := range bothNames(a.Images, b.Images, func(i plan.Image) string { return i.Name }) {
		before, after := describe(from, name), describe(to, name)
		if before != after {
			d.Images = append(d.Images, ImageChange{Name: name, Change: changeOf(before == "", after == ""), From: before, To: after})
		}
	}
	for _, path := range bothNames(a.Files, b.Files, func(f plan.File) string { return f.Path }) {
		if change, ok := fileChange(path, a.Files, b.Files); ok {
			d.Files = append(d.Files, change)
		}
	}
	d.Other = slices.Concat(
		others("certificate", a.Certificates, b.Certificates, func(c plan.Certificate) string { return c.Name + " for " + c.Purpose + ", owner " + c.Owner }),
		others("secret", a.Secrets, b.Secrets, func(s plan.Secret) string { return s.Name + "@" + s.Version }),
		others("task", a.Tasks, b.Tasks, func(t plan.Task) string { return t.Kind + " " + t.Name }))
	changes := generation.Compare(from.gen, to.gen)
	d.Switch.Stop, d.Switch.Restart, d.Switch.Start = changes.Stop, changes.Restart, changes.Start
	return d
}

// bothNames lists the names of two lists, those of the first in its order before the new ones.
func bothNames[T any](a, b []T, name func(T) string) []string {
	var out []string
	for _, item := range slices.Concat(a, b) {
		if !slices.Contains(out, name(item)) {
			out = append(out, name(item))
		}
	}
	return out
}

func changeOf(isNew, isGone bool) Change {
	switch {
	case isNew:
		return Added
	case isGone:
		return Gone
	default:
		return Changed
	}
}

// others says which things are in one list only.
func others[T any](what string, a, b []T, name func(T) string) []string {
	var before, after, out []string
	for _, item := range a {
		before = append(before, name(item))
	}
	for _, item := range b {
		after = append(after, name(item))
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			out = append(out, "- "+what+" "+name)
		}
	}
	for _, name := range after {
		if !slices.Contains(before, name) {
			out = append(out, "+ "+what+" "+name)
		}
	}
	return out
}

// describe says which image of that name a generation has: version and manifest, "" for none.
func describe(s *side, name string) string {
	image, ok := imageOf(s.gen.Plan, name)
	if !ok {
		return ""
	}
	version := ""
	if s.checked != nil {
		version = versionOf(s.checked.Lock, image) + " "
	}
	return version + image.Digest
}

func versionOf(l *lock.Lock, image plan.Image) string {
	if entry, _, ok := l.ByManifest(image.Digest); ok {
		return entry.Version
	}
	return ""
}

func unitChange(a, b *plan.Unit) (UnitChange, bool) {
	if a == nil || b == nil {
		name := a
		if a == nil {
			name = b
		}
		return UnitChange{Name: name.Name, Change: changeOf(a == nil, b == nil)}, true
	}
	change := UnitChange{Name: b.Name, Change: Changed}
	if a.Text != b.Text {
		change.Options = optionChanges(a, b)
	}
	if a.Start != b.Start {
		change.Options = append(change.Options, fmt.Sprintf("start changes from %t to %t", a.Start, b.Start))
	}
	if a.Exec != nil && b.Exec != nil {
		change.Args = listDiff(a.Exec.Args, b.Exec.Args)
		change.Exec = execChanges(*a.Exec, *b.Exec)
	} else if (a.Exec == nil) != (b.Exec == nil) {
		change.Exec = []string{"begins or ends to be a component"}
	}
	return change, len(change.Options)+len(change.Args)+len(change.Exec) > 0
}

func optionChanges(a, b *plan.Unit) []string {
	before, err1 := units.Parse(a.Name, a.Text)
	after, err2 := units.Parse(b.Name, b.Text)
	if err := errors.Join(err1, err2); err != nil {
		return []string{"the text differs and cannot be read: " + err.Error()}
	}
	var out []string
	for _, change := range units.Diff(before, after) {
		out = append(out, change.String())
	}
	if len(out) == 0 {
		out = append(out, "comments, white space or the order of options")
	}
	return out
}

// execChanges says what else differs in how a component is run; its image has a place of its own.
func execChanges(a, b plan.Exec) []string {
	var out []string
	say := func(what string, a, b any) {
		before, err1 := json.Marshal(a)
		after, err2 := json.Marshal(b)
		if err1 == nil && err2 == nil && string(before) != string(after) {
			out = append(out, fmt.Sprintf("%s changes from %s to %s", what, before, after))
		}
	}
	say("image", a.Image, b.Image)
	say("binary", a.Binary, b.Binary)
	say("env", a.Env, b.Env)
	say("tools", a.Tools, b.Tools)
	say("mounts", a.Mounts, b.Mounts)
	say("state", a.State, b.State)
	say("await", a.Await, b.Await)
	say("ready", a.Ready, b.Ready)
	say("live", a.Live, b.Live)
	return out
}
