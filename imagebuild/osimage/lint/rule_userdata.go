package lint

import "fmt"

// maxUserData is what fits into Nova's 65,535 bytes of base64.
const maxUserData = 49149

// userData: Nova refuses the server.
func userData(s *Subject, found func(Finding)) {
	if n := len(s.UserData); n > maxUserData {
		found(of(Error, fmt.Sprintf("the configuration has %d bytes; Nova takes %d and refuses to create the server", n, maxUserData),
			"move files behind ignition.config.merge with a hash, or compress them"))
	}
}

// kargsArea: the area for kernel arguments in an ISO has a fixed size.
func kargsArea(s *Subject, found func(Finding)) {
	if s.KargsArea == 0 {
		return
	}
	if n := len(s.Kargs) + 1; n > s.KargsArea { // a newline ends them
		found(of(Error, fmt.Sprintf("the kernel arguments have %d bytes with their end and the area %d: they cannot be embedded", n, s.KargsArea),
			"drop arguments that the nodes' Ignition configuration can set"))
	}
}
