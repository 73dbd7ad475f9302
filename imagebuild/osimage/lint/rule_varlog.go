package lint

// varLog: logs in an image are somebody else's.
func varLog(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if e.Below("var/log") && e.File() && e.Size > 0 {
			found(at(l, e, Warning, "the log of a build is every node's first log", "delete it before the layer is made"))
		}
	})
}
