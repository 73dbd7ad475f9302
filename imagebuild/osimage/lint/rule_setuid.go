package lint

import (
	"slices"
)

// setuid: nothing of ours needs it.
func setuid(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if e.File() && e.Mode&0o6000 != 0 || slices.Contains(e.Xattrs, "security.capability") {
			found(at(l, e, Error, "whoever runs it gets rights that he does not have", "clear the bits and capabilities; let its unit give the rights that it needs"))
		}
	})
}
