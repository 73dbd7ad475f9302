package release

import (
	"fmt"
	"reflect"
	"slices"

	"slipway.build/slipway/imagebuild/lock"
)

// Side names one of two locks.
type Side struct {
	Number int64  `json:"number"`
	Digest string `json:"digest"`
}

// Delta is what differs between two locks.
type Delta struct {
	From   Side          `json:"from"`
	To     Side          `json:"to"`
	Images []ImageChange `json:"images"` // sorted by name, then by version
	// Nodes is what it means for nodes, one entry for each kind; filled by whoever knows what runs there.
	Nodes []NodeDelta `json:"nodes,omitempty"`
	// Unknown says why Nodes is empty, where somebody has tried.
	Unknown string `json:"unknown,omitempty"`
}

// Kind says how an image differs.
type Kind string

// The kinds. A version that takes the place of the only other one is changed; one with the same
// version but other bytes is rebuilt; one of which only the lock says something else is restated.
const (
	Added    Kind = "added"
	Gone     Kind = "gone"
	Changed  Kind = "changed"
	Rebuilt  Kind = "rebuilt"
	Restated Kind = "restated"
)

// ImageChange is one image that differs.
type ImageChange struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	From string `json:"from,omitempty"` // version
	To   string `json:"to,omitempty"`
	// Why lists the fields that explain it: inputs of the build, or what is said of the image.
	Why []string `json:"why,omitempty"`
}

// String is the change in words.
func (c ImageChange) String() string {
	switch c.Kind {
	case Added:
		return fmt.Sprintf("%s %s is new", c.Name, c.To)
	case Gone:
		return fmt.Sprintf("%s %s is gone", c.Name, c.From)
	case Changed:
		return fmt.Sprintf("%s goes from %s to %s", c.Name, c.From, c.To)
	case Rebuilt:
		if len(c.Why) == 0 {
			return fmt.Sprintf("%s %s has other bytes from the same inputs: one of the two builds was not reproducible", c.Name, c.To)
		}
		return fmt.Sprintf("%s %s was built anew: %s", c.Name, c.To, words(c.Why))
	}
	return fmt.Sprintf("%s %s has the same bytes; the lock says otherwise of it: %s", c.Name, c.To, words(c.Why))
}

// Diff compares two locks image by image.
func Diff(from, to *lock.Lock) (*Delta, error) {
	d := &Delta{Images: []ImageChange{}}
	for _, side := range []struct {
		of  *lock.Lock
		put *Side
	}{{from, &d.From}, {to, &d.To}} {
		digest, err := side.of.Digest()
		if err != nil {
			return nil, err
		}
		*side.put = Side{side.of.Number, digest}
	}
	for _, name := range names(from, to) {
		d.Images = append(d.Images, versions(from, to, name)...)
	}
	return d, nil
}

func names(locks ...*lock.Lock) []string {
	var all []string
	for _, l := range locks {
		for _, img := range l.Images {
			all = append(all, img.Name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// versions compares all versions of one image.
func versions(from, to *lock.Lock, name string) []ImageChange {
	var all []ImageChange
	var gone, added []string
	for _, img := range from.ByName(name) {
		other, ok := to.Find(name, img.Version)
		if !ok {
			gone = append(gone, img.Version)
			continue
		}
		if change, differs := same(from, to, img, other); differs {
			all = append(all, change)
		}
	}
	for _, img := range to.ByName(name) {
		if _, ok := from.Find(name, img.Version); !ok {
			added = append(added, img.Version)
		}
	}
	if len(gone) == 1 && len(added) == 1 {
		return append(all, ImageChange{Name: name, Kind: Changed, From: gone[0], To: added[0]})
	}
	slices.SortFunc(gone, Newer)
	slices.SortFunc(added, Newer)
	for _, version := range gone {
		all = append(all, ImageChange{Name: name, Kind: Gone, From: version})
	}
	for _, version := range added {
		all = append(all, ImageChange{Name: name, Kind: Added, To: version})
	}
	return all
}

// same compares one version of an image in two locks.
func same(from, to *lock.Lock, a, b *lock.Image) (ImageChange, bool) {
	change := ImageChange{Name: a.Name, From: a.Version, To: b.Version, Kind: Restated}
	note := func(field string, x, y any) {
		if !reflect.DeepEqual(x, y) {
			change.Why = append(change.Why, field)
		}
	}
	if !reflect.DeepEqual(manifests(a), manifests(b)) {
		change.Kind = Rebuilt
		note("toolchain", from.Toolchain, to.Toolchain)
		note("module", a.Source.Module+a.Source.Reference, b.Source.Module+b.Source.Reference)
		note("version of the module", a.Source.Version, b.Source.Version)
		note("sum of the module", a.Source.Sum, b.Source.Sum)
		note("go.sum", a.Source.GoSum, b.Source.GoSum)
		note("packages", a.Source.Packages, b.Source.Packages)
		note("flags", a.Source.Flags, b.Source.Flags)
		note("Debian packages", packages(a), packages(b))
		note("platforms", platformNames(a), platformNames(b))
		note("unresolved", a.Unresolved, b.Unresolved)
		return change, true
	}
	note("source", a.Source, b.Source)
	note("repository", a.Repository, b.Repository)
	note("Kubernetes minors", a.Kubernetes, b.Kubernetes)
	note("end of support", a.Supported, b.Supported)
	note("reason for a system beneath", a.System, b.System)
	note("host tools", a.HostTools, b.HostTools)
	note("index", a.Index, b.Index)
	note("unresolved", a.Unresolved, b.Unresolved)
	note("evidence", evidence(a), evidence(b))
	return change, len(change.Why) > 0
}

func manifests(img *lock.Image) map[string]string {
	all := map[string]string{}
	for _, p := range img.Platforms {
		all[p.Platform] = p.Manifest
	}
	return all
}

func packages(img *lock.Image) []lock.Package {
	var all []lock.Package
	for _, p := range img.Platforms {
		all = append(all, p.Debian...)
	}
	return all
}

func platformNames(img *lock.Image) []string {
	var all []string
	for _, p := range img.Platforms {
		all = append(all, p.Platform)
	}
	return all
}

func evidence(img *lock.Image) []lock.Evidence {
	var all []lock.Evidence
	for _, p := range img.Platforms {
		all = append(all, p.Evidence)
	}
	return all
}
