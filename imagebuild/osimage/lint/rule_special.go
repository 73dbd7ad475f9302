package lint

import (
	"archive/tar"
	"fmt"
)

// specialFiles: ostree stores no devices.
func specialFiles(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		switch e.Type {
		case tar.TypeReg, 0, tar.TypeLink, tar.TypeSymlink, tar.TypeDir, tar.TypeXGlobalHeader:
		default:
			found(at(l, e, Error, fmt.Sprintf("the importer stops at an entry of type %q", e.Type), "leave it out; devices and pipes are made at run time by tmpfiles.d"))
		}
	})
}
