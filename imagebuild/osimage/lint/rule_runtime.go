package lint

// runtimeOnlyDirs: the importer drops them without a word.
func runtimeOnlyDirs(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		for _, d := range []string{"run", "tmp", "proc", "sys", "dev", "var/tmp"} {
			if e.Below(d) && e.Path != d {
				found(at(l, e, Warning, "the importer drops what is in /"+d+", and says nothing", "leave it out; tmpfiles.d makes it at run time"))
			}
		}
	})
}
