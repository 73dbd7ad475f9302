package lint

import (
	"fmt"
)

// mtimes: ostree sets all times to 0, but a layer's digest is over the times in its tar.
func mtimes(s *Subject, found func(Finding)) {
	if s.Directory {
		return
	}
	for _, l := range s.Layers {
		times := map[int64]int{}
		var first, other *Entry
		for i, e := range l.Entries {
			if times[e.ModTime.UnixNano()]++; first == nil {
				first = &l.Entries[i]
			} else if other == nil && !e.ModTime.Equal(first.ModTime) {
				other = &l.Entries[i]
			}
		}
		if other != nil {
			found(at(l, *other, Warning, fmt.Sprintf("the layer has %d different times of modification, here %s: the next build has another digest, and every node fetches the layer again", len(times), other.ModTime.UTC().Format("2006-01-02T15:04:05Z")),
				"give all entries one fixed time"))
		}
	}
}
