package lint

import (
	"fmt"
	"slices"
	"strings"
)

// sysusers: a layer's /etc/passwd would take the base's place, and a node's own would stay.
func sysusers(s *Subject, found func(Finding)) {
	known := map[string]bool{"0": true}
	s.each(func(_ Layer, e Entry) {
		if !strings.HasPrefix(e.Path, "usr/lib/sysusers.d/") {
			return
		}
		for line := range strings.Lines(string(e.Data)) {
			if f := strings.Fields(line); len(f) >= 3 && (strings.HasPrefix(f[0], "u") || f[0] == "g") {
				for id := range strings.SplitSeq(f[2], ":") {
					known[id] = true
				}
			}
		}
	})
	s.each(func(l Layer, e Entry) {
		switch e.Path {
		case "etc/passwd", "etc/shadow", "etc/group", "etc/gshadow", "usr/lib/passwd", "usr/lib/group":
			found(at(l, e, Error, "it takes the place of the base's users, while a node that has changed its own keeps that: the users differ from node to node",
				"name users in a file in /usr/lib/sysusers.d"))
		}
		if s.Directory {
			return
		}
		for _, id := range slices.Compact([]int{e.UID, e.GID}) {
			if !known[fmt.Sprint(id)] {
				found(at(l, e, Warning, fmt.Sprintf("it belongs to %d, a number that is nobody's, or somebody else's, on the node", id),
					"let it belong to root, or fix the number in the layer's /usr/lib/sysusers.d"))
			}
		}
	})
}
