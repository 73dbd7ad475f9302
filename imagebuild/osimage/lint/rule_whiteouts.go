package lint

// whiteouts: deleting is allowed, and easily not meant.
func whiteouts(s *Subject, found func(Finding)) {
	for _, l := range s.Layers {
		for _, e := range l.Entries {
			deleted, all, yes := e.Whiteout()
			switch {
			case !yes:
			case all:
				found(at(l, e, Warning, "everything that the base has in /"+deleted+" is deleted", "leave the whiteout out, unless that is meant"))
			default:
				happens := "the base's /" + deleted + " is deleted"
				if s.Base != nil {
					if _, there := s.Base.Lookup(deleted); !there {
						happens = "nothing: the base has no /" + deleted
					}
				}
				found(at(l, e, Warning, happens, "leave the whiteout out, unless that is meant"))
			}
		}
	}
}
