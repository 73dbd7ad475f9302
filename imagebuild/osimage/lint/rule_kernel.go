package lint

import (
	"path"
	"slices"
	"strings"
)

// kernel: a second kernel leaves it to chance which one boots.
func kernel(s *Subject, found func(Finding)) {
	is := func(e Entry) bool {
		ok, _ := path.Match("usr/lib/modules/*/vmlinuz", e.Path)
		return ok && e.File()
	}
	if s.Base == nil {
		s.each(func(l Layer, e Entry) {
			if is(e) {
				found(at(l, e, Error, "it is a second kernel beside the base's, and deploying fails or boots either",
					"leave it out; if it replaces the base's, delete that one in the same layer and lint with --base"))
			}
		})
		return
	}
	var kernels []string
	for p, e := range s.merged().files {
		if is(e) {
			kernels = append(kernels, p)
		}
	}
	slices.Sort(kernels)
	switch len(kernels) {
	case 1:
	case 0:
		found(of(Error, "base and layers together have no kernel in /usr/lib/modules, and nothing boots", "use the base of an operating system; delete none of its kernel's files"))
	default:
		found(of(Error, "base and layers together have the kernels "+strings.Join(kernels, ", ")+", and deploying fails or boots either", "delete all but one"))
	}
}
