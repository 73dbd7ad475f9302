package component

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/debian"
	"slipway.build/slipway/imagebuild/lock"
)

// Complete returns the lock of every recipe: what was built, and as the committed lock has them the
// images that were not. Such an entry counts as long as nothing that went into its build has changed
// since: the error names every image that has to be built too, with what changed. What the lock does
// not record of a build, such as which files of a Debian package are taken, only building it shows.
func Complete(committed *lock.Lock, built []Built, o Options) (*lock.Lock, error) {
	recipes := o.Recipes
	if recipes == nil {
		recipes = Recipes()
	}
	if committed.Toolchain != Toolchain {
		return nil, fmt.Errorf("the lock is of toolchain %s and builds are of %s: build all images", committed.Toolchain, Toolchain)
	}
	all := slices.Clone(built)
	var problems []error
	for _, r := range recipes {
		if slices.ContainsFunc(built, func(b Built) bool { return b.Image.Name == r.Image && b.Image.Version == r.Version }) {
			continue
		}
		kept, err := keep(committed, r, o.Sources)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s cannot stay as the lock has it: %w; build it too", r.ID(), err))
			continue
		}
		all = append(all, Built{Image: kept})
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return Compute(all)
}

// keep returns the committed entry of a recipe, if its inputs are still those.
func keep(committed *lock.Lock, r Recipe, sources string) (lock.Image, error) {
	now, err := described(sources, r)
	if err != nil {
		return now, err
	}
	if r.Reference != "" {
		return now, nil // nothing is built of it; issuing a lock keeps the digests that were fetched
	}
	before, found := committed.Find(r.Image, r.Version)
	if !found {
		return now, errors.New("it is not in there")
	}
	if changed := changedInputs(before, &now); len(changed) > 0 {
		return now, errors.New(strings.Join(changed, ", "))
	}
	return *before, pinsHold(before, sources)
}

// described is the entry of a recipe as far as it is known without building it.
func described(sources string, r Recipe) (lock.Image, error) {
	img := r.entry()
	in, err := readInputs(sources, r, HostPlatform())
	if err == nil && r.Reference == "" {
		img.Source = in.source()
	}
	return img, err
}

// changedInputs says in which inputs a committed entry and one that is only described differ: not in whether it is
// built or its reference resolved.
func changedInputs(committed, now *lock.Image) []string {
	was := *committed
	was.Source.Reference, _, _ = strings.Cut(was.Source.Reference, "@")
	was.Unresolved = now.Unresolved
	var all []string
	for _, d := range compareInputs(&was, now) {
		if d.Committed != d.Built {
			all = append(all, fmt.Sprintf("%s was %s and is %s", d.Field, orNone(d.Committed), orNone(d.Built)))
		}
	}
	return all
}

// pinsHold says which Debian package of an entry is no longer the one that is pinned.
func pinsHold(img *lock.Image, sources string) error {
	for _, p := range img.Platforms {
		if len(p.Debian) == 0 {
			continue
		}
		arch, err := debian.ArchitectureOf(p.Platform)
		if err != nil {
			return err
		}
		pins, err := readPins(sources, arch.Name)
		if err != nil {
			return err
		}
		for _, was := range p.Debian {
			if is := pins[was.Name]; is != was {
				return fmt.Errorf("its package %s for %s was %s and is %s", was.Name, arch.Name, was.Version, orNone(is.Version))
			}
		}
	}
	return nil
}
