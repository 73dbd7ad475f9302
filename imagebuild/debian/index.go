package debian

import (
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// parseIndex reads paragraphs of apt's index, separated by empty lines, each of one package. Fields
// are lines of "Name: value"; lines that begin with a space go on with the one before.
func parseIndex(text string) []lock.Package {
	var all []lock.Package
	var p lock.Package
	end := func() {
		if p.Name != "" {
			all = append(all, p)
		}
		p = lock.Package{}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n\t ")
		if line == "" {
			end()
			continue
		}
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Filename":
			p.Path = strings.TrimPrefix(value, "./")
		case "SHA256":
			p.SHA256 = value
		}
	}
	end()
	return all
}

// choose returns the first package of each name that an index has, checked.
func choose(index []lock.Package, names []string) ([]lock.Package, error) {
	found := map[string]lock.Package{}
	for _, p := range index {
		if _, have := found[p.Name]; !have {
			found[p.Name] = p
		}
	}
	var all []lock.Package
	for _, n := range names {
		p, have := found[n]
		if !have {
			return nil, fmt.Errorf("apt knows no package %s", n)
		}
		if err := Check(p); err != nil {
			return nil, fmt.Errorf("apt's index: %w", err)
		}
		if !fs.ValidPath(p.Path) {
			return nil, fmt.Errorf("apt's index: package %s %s: %.200q is no path", p.Name, p.Version, p.Path)
		}
		all = append(all, p)
	}
	return all, nil
}

// parseURIs reads what apt would fetch: lines of 'URI' name_version_arch.deb size sum. Only names
// and versions are taken from it.
func parseURIs(text string) ([]lock.Package, error) {
	var all []lock.Package
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[0], "'") {
			continue // what apt says beside
		}
		part := strings.Split(strings.TrimSuffix(f[1], ".deb"), "_")
		if len(part) != 3 || !strings.HasSuffix(f[1], ".deb") {
			return nil, fmt.Errorf("apt would fetch %.200q, which is no package's file", f[1])
		}
		version, err := url.PathUnescape(part[1])
		if err != nil || !nameForm.MatchString(part[0]) || !versionForm.MatchString(version) {
			return nil, fmt.Errorf("apt would fetch %.200q, which is no package's file", f[1])
		}
		all = append(all, lock.Package{Name: part[0], Version: version})
	}
	return all, nil
}
