package lint

import (
	"strings"
	"unicode/utf8"
)

// utf8Names: ostree stores names as UTF-8 and fails on others.
func utf8Names(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if !utf8.ValidString(e.Name) || !utf8.ValidString(e.Link) {
			f := at(l, e, Error, "the importer stops at a name that is not UTF-8", "rename it")
			f.Path = strings.ToValidUTF8(e.Path, "\uFFFD")
			found(f)
		}
	})
}
