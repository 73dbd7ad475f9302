package lint

// sysrootObjects: a changed object of the repository loses all that the base has (rpm-ostree issue 3827).
func sysrootObjects(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if e.Below("sysroot/ostree") || e.Below("ostree") && e.Path != "ostree" {
			found(at(l, e, Error, "the importer takes it for an object of the base's commit, and files that have this object are lost or changed",
				"copy the base's layers as they are; no builder that unpacks and packs them again"))
		}
	})
}
