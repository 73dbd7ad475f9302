package lint

import (
	"archive/tar"
)

// worldWritable: /usr is read-only on a node, /etc is not.
func worldWritable(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if e.Type == tar.TypeSymlink || e.Mode&0o002 == 0 || e.Dir() && e.Mode&0o1000 != 0 {
			return
		}
		found(at(l, e, Error, "every user of the node can change it where its file system is writable", "make it writable for root alone"))
	})
}
