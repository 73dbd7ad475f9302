package lint

import (
	"path"
	"slices"
	"strings"
)

// labelled lists where Fedora's policy has a type by which services may execute a file.
var labelled = []string{
	"usr/bin", "usr/sbin", "usr/libexec", "usr/lib/systemd", "usr/lib/bootc", "usr/lib/dracut", "usr/lib/udev",
	"usr/lib/modules", "usr/lib/kernel", "usr/lib/cni", "usr/lib/NetworkManager", "etc/NetworkManager/dispatcher.d",
}

// unlabelledExecutables: init may not execute what has the type of data.
func unlabelledExecutables(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if !e.File() || e.Mode&0o111 == 0 || slices.ContainsFunc(labelled, e.Below) {
			return
		}
		if strings.HasPrefix(e.Path, "usr/lib64/") || strings.HasPrefix(e.Path, "usr/lib/") && strings.Contains(path.Base(e.Path), ".so") {
			return // libraries have a type of their own
		}
		severity := Warning
		if e.Below("usr/local") || e.Below("var") || e.Below("etc") {
			severity = Error
		}
		found(at(l, e, severity, "the policy gives it the type of data, and SELinux keeps services from executing it",
			"put it into /usr/bin or /usr/libexec; /usr/local and /var are links or data on a node"))
	})
}
