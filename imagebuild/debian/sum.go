package debian

import (
	"fmt"
	"regexp"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/lock"
)

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{0,127}$`)
	versionForm = regexp.MustCompile(`^[0-9][A-Za-z0-9.+:~-]{0,127}$`)
	sumForm     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Check says whether a package's name, version and sum have the form that they have in Debian: only
// then they are part of a command or of a file's name. The error names the field.
func Check(p lock.Package) error {
	switch {
	case !nameForm.MatchString(p.Name):
		return fmt.Errorf("%.100q is no name of a Debian package", p.Name)
	case !versionForm.MatchString(p.Version):
		return fmt.Errorf("package %s: %.100q is no version", p.Name, p.Version)
	case !sumForm.MatchString(p.SHA256):
		return fmt.Errorf("package %s %s: %.100q is no sha256", p.Name, p.Version, p.SHA256)
	}
	return nil
}

// checkNames does so for names that apt is asked for.
func checkNames(names []string) error {
	for _, n := range names {
		if !nameForm.MatchString(n) {
			return fmt.Errorf("%.100q is no name of a Debian package", n)
		}
	}
	return nil
}

// hasSum returns nil if the file's sha256 is what it should be.
func hasSum(name, want string) error {
	found, _, err := buildcache.Sum(name)
	if err != nil {
		return err
	}
	if found != want {
		return fmt.Errorf("%s: expected sha256 %s, found %s", name, want, found)
	}
	return nil
}
