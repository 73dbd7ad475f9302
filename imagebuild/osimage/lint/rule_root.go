package lint

import (
	"slices"
)

// baseimageRoot: ostree finds its deployments by these.
func baseimageRoot(s *Subject, found func(Finding)) {
	names := []string{"sysroot", "ostree", "usr/lib/ostree/prepare-root.conf"}
	for _, l := range s.Layers {
		for _, e := range l.Entries {
			p := e.Path
			if deleted, _, yes := e.Whiteout(); yes {
				p = deleted
			}
			if slices.Contains(names, p) || p == "usr/lib/ostree" && p != e.Path {
				found(at(l, e, Error, "the node mounts its root by it, and does not boot when it is another",
					"leave it as the base has it; composefs is set up by a file in /etc/ostree, if it has to be"))
			}
		}
	}
}
