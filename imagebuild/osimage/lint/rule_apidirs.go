package lint

import (
	"slices"
)

// apiBaseDirectories: the kernel's file systems are mounted on them.
func apiBaseDirectories(s *Subject, found func(Finding)) {
	names := []string{"dev", "proc", "sys", "run", "tmp", "var"}
	for _, l := range s.Layers {
		for _, e := range l.Entries {
			if deleted, all, yes := e.Whiteout(); yes && (slices.Contains(names, deleted) && !all || all && deleted == "") {
				found(at(l, e, Error, "the node has no /"+deleted+" to mount on, and does not boot", "leave the directory as the base has it"))
				continue
			}
			if slices.Contains(names, e.Path) && !e.Dir() {
				found(at(l, e, Error, "/"+e.Path+" is to be a directory; nothing can be mounted on it, and the node does not boot", "leave it out"))
			}
		}
	}
	if s.Base == nil || s.encapsulated() { // whose commit holds them, and no layer
		return
	}
	tree := s.merged()
	for _, n := range names {
		if e, there := tree.Lookup(n); !there || !e.Dir() {
			found(of(Warning, "base and layers together have no directory /"+n, "use a base that bootc's own lint accepts"))
		}
	}
}
