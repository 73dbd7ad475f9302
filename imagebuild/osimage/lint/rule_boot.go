package lint

// nonemptyBoot: /boot is a partition of its own.
func nonemptyBoot(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if e.Below("boot") && e.Path != "boot" {
			found(at(l, e, Error, "a node's /boot is a partition that ostree writes; a layer's files never get there",
				"put a kernel and its initramfs into /usr/lib/modules"))
		}
	})
}
