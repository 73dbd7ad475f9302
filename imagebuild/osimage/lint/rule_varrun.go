package lint

import (
	"archive/tar"
)

// varRun: bootc fails on a /var/run that is anything but a link to /run.
func varRun(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		switch {
		case e.Path == "var/run" && e.Type == tar.TypeSymlink && (e.Link == "../run" || e.Link == "/run"):
		case e.Below("var/run"):
			found(at(l, e, Error, "the node's /var/run becomes a directory of its own, and programs do not find each other's sockets there",
				"leave it out; what is needed at run time is made in /run by tmpfiles.d"))
		}
	})
}
