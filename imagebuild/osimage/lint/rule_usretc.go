package lint

// etcUsrEtc: the importer moves /etc to /usr/etc itself.
func etcUsrEtc(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if e.Below("usr/etc") {
			found(at(l, e, Error, "the importer moves /etc of a layer to /usr/etc, and what comes of both is not defined",
				"write it to /etc"))
		}
	})
}
