package component

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

// Header is the comment at the top of images.yaml.
const Header = `The lock: every component image by digest, and every input of its build.
"slipway images lock" writes this file from real builds; do not edit it by hand.
Nodes run nothing that is not in here, signed by a key that they trust.`

// LockLife is how long a newly issued lock may be applied to nodes: as long as an authority of the
// control plane lives. Refusing an older lock is the number's work; this is the last resort.
const LockLife = 1825 * 24 * time.Hour

// Issue gives the lock of what was built its number and validity: those of the committed lock when
// both say the same, so that nothing changes, else the next number from now on. committed may be
// nil, or a lock of before locks had numbers.
func Issue(committed, built *lock.Lock, now time.Time, life time.Duration) {
	if committed == nil {
		committed = &lock.Lock{}
	}
	built.Accepted = committed.Accepted // decided by people, not by a build
	if committed.Number > 0 && len(Differences(committed, built)) == 0 {
		built.Number, built.Issued, built.Expires = committed.Number, committed.Issued, committed.Expires
		return
	}
	built.Issue(committed.Number+1, now, life)
}

// Compute returns the lock of built images, which Issue gives its number.
func Compute(built []Built) (*lock.Lock, error) {
	l := &lock.Lock{Schema: lock.Schema, Toolchain: Toolchain}
	for _, b := range built {
		l.Images = append(l.Images, b.Image)
	}
	slices.SortFunc(l.Images, func(x, y lock.Image) int { return x.Compare(&y) })
	return l, l.ValidateContent()
}

// WriteLock writes the lock to a file as YAML with Header, in one step, if it differs.
func WriteLock(path string, l *lock.Lock) error {
	text, err := l.YAML(Header)
	if err != nil {
		return err
	}
	return writeChanged(path, text)
}

// Difference is one field of one image in which two locks differ.
type Difference struct {
	Image string // name@version; empty for the toolchain of the whole lock
	// Input is true for what goes into a build: once an input differs, the outputs must.
	Input            bool
	Field            string // "toolchain", "go.sum", "sha256 of usr/bin/etcd", "manifest linux/amd64"
	Committed, Built string
}

func (d Difference) String() string {
	side := "output"
	if d.Input {
		side = "input"
	}
	name := d.Image
	if name == "" {
		name = "all images"
	}
	return fmt.Sprintf("%s: %s %s: committed %s, built %s", name, side, d.Field, orNone(d.Committed), orNone(d.Built))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Check returns nil if both locks say the same, else an error that lists what differs, one
// line each: for every image its inputs first, for they explain the rest.
func Check(committed, built *lock.Lock) error {
	diff := Differences(committed, built)
	if len(diff) == 0 {
		return nil
	}
	problems := []error{fmt.Errorf("the images built here are not those of the committed lock: %d differences", len(diff))}
	inputs := false
	for _, d := range diff {
		inputs = inputs || d.Input
		problems = append(problems, errors.New("  "+d.String()))
	}
	if inputs {
		problems = append(problems, errors.New("inputs differ: if that is meant, run slipway images lock and commit images.yaml"))
	} else {
		problems = append(problems, errors.New("all inputs are the same and the outputs are not: the build is not reproducible on this machine"))
	}
	return errors.Join(problems...)
}

// Differences lists what differs between two locks, sorted by image.
func Differences(committed, built *lock.Lock) []Difference {
	var out []Difference
	add := func(d Difference) {
		if d.Committed != d.Built {
			out = append(out, d)
		}
	}
	add(Difference{Input: true, Field: "toolchain", Committed: committed.Toolchain, Built: built.Toolchain})
	for _, name := range names(committed, built) {
		image, version, _ := strings.Cut(name, "@")
		c, inC := committed.Find(image, version)
		b, inB := built.Find(image, version)
		if !inC || !inB {
			add(Difference{Image: name, Input: true, Field: "recipe", Committed: present(inC), Built: present(inB)})
			continue
		}
		for _, d := range slices.Concat(compareInputs(c, b), compareOutputs(c, b)) {
			d.Image = name
			add(d)
		}
	}
	return out
}

func present(yes bool) string {
	if yes {
		return "present"
	}
	return ""
}

func names(locks ...*lock.Lock) []string {
	var all []string
	for _, l := range locks {
		for _, i := range l.Images {
			all = append(all, i.Name+"@"+i.Version)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func compareInputs(c, b *lock.Image) []Difference {
	in := func(field, x, y string) Difference {
		return Difference{Input: true, Field: field, Committed: x, Built: y}
	}
	list := func(s []string) string { return strings.Join(s, " ") }
	return []Difference{
		in("version", c.Version, b.Version),
		in("repository", c.Repository, b.Repository),
		in("module", c.Source.Module, b.Source.Module),
		in("module version", c.Source.Version, b.Source.Version),
		in("module sum", c.Source.Sum, b.Source.Sum),
		in("go.sum", c.Source.GoSum, b.Source.GoSum),
		in("packages", list(c.Source.Packages), list(b.Source.Packages)),
		in("flags", list(c.Source.Flags), list(b.Source.Flags)),
		in("reference", c.Source.Reference, b.Source.Reference),
		in("kubernetes", list(c.Kubernetes), list(b.Kubernetes)),
		in("host tools", list(c.HostTools), list(b.HostTools)),
		in("end of support", c.Supported, b.Supported),
		in("system", c.System, b.System),
		in("unresolved", c.Unresolved, b.Unresolved),
	}
}

func compareOutputs(c, b *lock.Image) []Difference {
	x, y := outputs(c), outputs(b)
	var fields []string
	for _, o := range slices.Concat(x, y) {
		if !slices.Contains(fields, o.field) {
			fields = append(fields, o.field)
		}
	}
	var diff []Difference
	for _, f := range fields {
		diff = append(diff, Difference{Field: f, Committed: value(x, f), Built: value(y, f)})
	}
	return diff
}

// output is one named digest of an image, in the order in which one follows from another.
type output struct{ field, value string }

func outputs(i *lock.Image) []output {
	var all []output
	for _, p := range i.Platforms {
		for _, f := range p.Files {
			all = append(all, output{"sha256 of " + f.Path + " for " + p.Platform, f.SHA256})
		}
		for n, l := range p.Layers {
			all = append(all,
				output{fmt.Sprintf("diffID of layer %d for %s", n, p.Platform), l.DiffID},
				output{fmt.Sprintf("digest of layer %d for %s", n, p.Platform), l.Digest})
		}
		all = append(all, output{"config for " + p.Platform, p.Config}, output{"manifest for " + p.Platform, p.Manifest})
		for n, l := range p.Gzip.Layers {
			all = append(all, output{fmt.Sprintf("digest of gzip layer %d for %s", n, p.Platform), l.Digest})
		}
		all = append(all,
			output{"gzip manifest for " + p.Platform, p.Gzip.Manifest},
			output{"SPDX document for " + p.Platform, p.Evidence.SPDX},
			output{"CycloneDX document for " + p.Platform, p.Evidence.CycloneDX},
			output{"provenance for " + p.Platform, p.Evidence.Provenance})
		for _, d := range p.Debian {
			all = append(all, output{"package " + d.Name + " for " + p.Platform, d.Version + " " + d.SHA256})
		}
	}
	return append(all, output{"index", i.Index})
}

func value(all []output, field string) string {
	for _, o := range all {
		if o.field == field {
			return o.value
		}
	}
	return ""
}
