package lint

import (
	"path"
)

// implicitParents: ostree makes missing directories up, with what modes and owners is its affair.
func implicitParents(s *Subject, found func(Finding)) {
	for _, l := range s.Layers {
		seen := map[string]bool{"": true, ".": true}
		told := map[string]bool{}
		for _, e := range l.Entries {
			if dir := path.Dir(e.Path); e.Path != "" && !seen[dir] && !told[dir] {
				told[dir] = true
				found(at(l, e, Warning, "its directory /"+dir+" is not in the layer before it; where the base has none, the importer makes one up",
					"put /"+dir+" into the layer as a directory of root's with mode 0755, before what is in it"))
			}
			if e.Dir() {
				seen[e.Path] = true
			}
		}
	}
}
