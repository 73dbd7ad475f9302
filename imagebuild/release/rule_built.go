package release

import (
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// builtRule wants every image that is made from source for every platform of the lock, in both
// forms: a node of either platform finds all that its cluster needs, and so does a client that does
// not read zstd.
func builtRule() Rule {
	return Rule{
		Name: "built", About: "every image from source is built for every platform of the lock, as zstd and as gzip",
		find: func(s *Subject) []Finding {
			const remedy = "build all platforms: slipway images lock"
			platforms := platformsOf(s.Lock)
			var all []Finding
			for i := range s.Lock.Images {
				img := &s.Lock.Images[i]
				if img.Unresolved != "" || img.Source.Module == "" {
					continue
				}
				var missing []string
				for _, name := range platforms {
					if _, ok := img.For(name); !ok {
						missing = append(missing, name)
					}
				}
				if len(missing) > 0 {
					all = append(all, Finding{Image: full(img), Field: "platforms", Problem: "not built for " + strings.Join(missing, ", "), Remedy: remedy})
				}
				for _, p := range img.Platforms {
					if p.Gzip.Manifest == "" || p.Size == 0 {
						all = append(all, Finding{Image: full(img), Field: "platforms(" + p.Platform + ").gzip", Problem: "there is no form for clients that do not read zstd", Remedy: remedy})
					}
				}
			}
			return all
		},
	}
}

// platformsOf lists the platforms of a lock's images, sorted.
func platformsOf(l *lock.Lock) []string {
	var all []string
	for _, img := range l.Images {
		for _, p := range img.Platforms {
			all = append(all, p.Platform)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
