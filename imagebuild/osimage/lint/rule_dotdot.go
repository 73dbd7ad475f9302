package lint

import (
	"archive/tar"
	"slices"
	"strings"
)

// dotdot: the importer refuses a name that climbs.
func dotdot(s *Subject, found func(Finding)) {
	for _, l := range s.Layers {
		for _, e := range l.Entries {
			if slices.Contains(strings.Split(e.Name, "/"), "..") || e.Type == tar.TypeLink && slices.Contains(strings.Split(e.Link, "/"), "..") {
				found(at(l, e, Error, "the importer stops at a name with .. in it", "write paths from the root, without . and .."))
			}
		}
	}
}
