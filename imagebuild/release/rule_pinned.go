package release

import (
	"fmt"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// pinnedRule wants sources that mean the same bytes tomorrow: a module at a version, with the sum of
// its zip and of everything beneath it, and an upstream image by the digest of its index.
func pinnedRule() Rule {
	return Rule{
		Name: "pinned", About: "every source is pinned by sum or digest",
		find: func(s *Subject) []Finding {
			var all []Finding
			for i := range s.Lock.Images {
				img := &s.Lock.Images[i]
				if img.Source.Reference != "" {
					all = append(all, pinnedReference(img)...)
					continue
				}
				if canonical(img.Source.Version) == "" && img.Source.Module != "" {
					all = append(all, Finding{Image: full(img), Field: "source.version", Problem: fmt.Sprintf("%q is no version of a module", img.Source.Version),
						Remedy: "give the recipe a version, or a pseudo-version, that the module proxy has"})
				}
				for _, pin := range []struct{ field, value string }{{"source.sum", img.Source.Sum}, {"source.goSum", img.Source.GoSum}} {
					if pin.value == "" && img.Source.Module != "" {
						all = append(all, Finding{Image: full(img), Field: pin.field, Problem: "is empty", Remedy: "write the lock anew: slipway images lock"})
					}
				}
			}
			return all
		},
	}
}

// pinnedReference leaves unresolved references to the rule about those.
func pinnedReference(img *lock.Image) []Finding {
	if img.Unresolved != "" {
		return nil
	}
	remedy := "resolve it: slipway images lock update " + full(img) + " --write"
	_, digest, found := strings.Cut(img.Source.Reference, "@")
	switch {
	case !found:
		return []Finding{{Image: full(img), Field: "source.reference", Problem: fmt.Sprintf("%s is a tag, which may move", img.Source.Reference), Remedy: remedy}}
	case digest != img.Index:
		return []Finding{{Image: full(img), Field: "source.reference", Problem: fmt.Sprintf("is pinned at %s, the index is %s", digest, img.Index), Remedy: remedy}}
	}
	return nil
}
