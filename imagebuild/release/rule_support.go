package release

import (
	"fmt"
	"slices"
)

// supportRule wants versions that upstream still mends. Where upstream names no last day the lock
// has none; Kubernetes always names one (kubernetes.io/releases/patch-releases), so its images must
// have it.
func supportRule() Rule {
	return Rule{
		Name: "support", About: "upstream still supports every version", Source: "Image.Supported of the lock; kubernetes.io/releases/patch-releases",
		find: func(s *Subject) []Finding {
			var all []Finding
			for i := range s.Lock.Images {
				img := &s.Lock.Images[i]
				switch {
				case img.Supported == "" && slices.Contains(releaseSet(), img.Name):
					all = append(all, Finding{Image: full(img), Field: "supported", Problem: "is empty, and Kubernetes names the last day of every minor",
						Remedy: "give its recipe the day"})
				case img.Supported != "" && img.Supported < s.today():
					all = append(all, Finding{Image: full(img), Field: "supported", Problem: fmt.Sprintf("upstream's support ended with %s", img.Supported),
						Remedy: "go to a version that is mended, or accept it with a reason and a day"})
				}
			}
			return all
		},
	}
}
