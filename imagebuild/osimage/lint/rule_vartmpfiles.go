package lint

import (
	"path"
	"strings"
)

// varTmpfiles: /var of an image counts on the first installation only.
func varTmpfiles(s *Subject, found func(Finding)) {
	made := map[string]bool{}
	s.each(func(_ Layer, e Entry) {
		if !strings.HasPrefix(e.Path, "usr/lib/tmpfiles.d/") {
			return
		}
		for line := range strings.Lines(string(e.Data)) {
			if fields := strings.Fields(line); len(fields) >= 2 && strings.HasPrefix(fields[1], "/var/") {
				made[strings.TrimPrefix(strings.TrimRight(fields[1], "/"), "/")] = true
			}
		}
	})
	parents := map[string]bool{"var": true}
	for p := range made {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			parents[d] = true
		}
	}
	s.each(func(l Layer, e Entry) {
		if !e.Below("var") || e.Below("var/run") || made[e.Path] || parents[e.Path] {
			return
		}
		for d := path.Dir(e.Path); d != "var" && d != "."; d = path.Dir(d) {
			if made[d] && !e.Dir() {
				break // its directory is made; the file is reported
			}
		}
		found(at(l, e, Warning, "what a layer has in /var is put on the node when it is installed first, and never again: an update does not bring it",
			"make it by a line in /usr/lib/tmpfiles.d, from a file below /usr if it has contents"))
	})
}
