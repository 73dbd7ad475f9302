package lint

import (
	"slices"
)

// selinuxXattrs: the importer labels by the merged tree's policy.
func selinuxXattrs(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if slices.Contains(e.Xattrs, "security.selinux") {
			found(at(l, e, Error, "the label is of the machine that made the layer; the importer labels by the image's policy and fails or ignores it",
				"leave the attribute out; a path that the policy does not know gets a line in /etc/selinux/targeted/contexts/files/file_contexts.local"))
		}
	})
}
