package lint

import (
	"slices"
	"strings"
)

// topLevel: what is outside of /usr and /etc is dropped, or hidden by a link or a mount.
func topLevel(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		top, _, inside := strings.Cut(e.Path, "/")
		switch {
		case top == "opt":
			found(at(l, e, Error, "on Fedora CoreOS /opt is a link into /var: the layer's directory takes its place or is not seen, and nothing in it is updated",
				"put programs into /usr/libexec, CNI plugins into /usr/libexec/cni"))
		case !inside && !e.Dir() && top != "", !slices.Contains([]string{"usr", "etc", "var", "boot", "run", "tmp", "proc", "sys", "dev", "sysroot", "ostree", "..", ""}, top):
			found(at(l, e, Warning, "bases without composefs drop what is outside of /usr and /etc; with it, the directory is read-only for ever",
				"put it below /usr"))
		}
	})
}
