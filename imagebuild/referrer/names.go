package referrer

import (
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/layout"
)

// Names returns the names "repository:tag" of the images in the layout in dir, sorted. Lists of
// referrers and signatures, whose tags begin with "sha256-", are not among them.
func Names(dir string) ([]string, error) {
	index, err := OpenLayout(dir, "").readIndex()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, d := range index.Manifests {
		name := d.Annotations[layout.RefName]
		if _, tag, ok := strings.Cut(name, ":"); ok && !strings.HasPrefix(tag, "sha256-") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
