package lint

// buildahInjected: container builders mount these, and leave empty files behind.
func buildahInjected(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		switch e.Path {
		case "etc/hostname", "etc/resolv.conf", "etc/hosts", "run/.containerenv", ".dockerenv":
			if e.File() && (e.Size == 0 || e.Path == "run/.containerenv") {
				found(at(l, e, Error, "a container builder has left it; empty, it takes the place of what the node would have there",
					"leave it out of the layer"))
			}
		}
	})
}
