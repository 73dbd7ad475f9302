package release

import (
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// calicoTested returns the first and the last Kubernetes minor that a series of Calico is tested
// with, from the page "System requirements" of each series (docs.tigera.io/calico/<series>/
// getting-started/kubernetes/requirements). Others may work, and upstream says that it does not look.
// 3.30 is not here: its page could not be read.
func calicoTested() map[minor][2]minor {
	return map[minor][2]minor{
		{3, 28}: {{1, 27}, {1, 30}},
		{3, 29}: {{1, 29}, {1, 32}},
		{3, 31}: {{1, 32}, {1, 35}},
		{3, 32}: {{1, 34}, {1, 36}},
		{3, 33}: {{1, 35}, {1, 37}},
	}
}

// calicoModule is the module of all of Calico's programs.
const calicoModule = "github.com/projectcalico/calico"

// calicoRule wants Calico within what it is tested with.
func calicoRule() Rule {
	return Rule{
		Name: "calico", About: "every Calico is tested with every Kubernetes minor that it is used for",
		Source: "docs.tigera.io, System requirements",
		find: func(s *Subject) []Finding {
			var all []Finding
			for i := range s.Lock.Images {
				img := &s.Lock.Images[i]
				if img.Source.Module != calicoModule && !strings.HasPrefix(img.Name, "calico") {
					continue
				}
				series, ok := minorOf(img.Version)
				tested, known := calicoTested()[series]
				if !ok || !known {
					all = append(all, Finding{Image: full(img), Field: "version", Problem: "it is not known here what it is tested with",
						Remedy: "look it up in the requirements of its series and add it to the rule"})
					continue
				}
				if outside := untested(s.Lock, img, tested); len(outside) > 0 {
					all = append(all, Finding{Image: full(img), Field: "kubernetes",
						Problem: fmt.Sprintf("is used for Kubernetes %s; it is tested with %s to %s", list(outside), tested[0], tested[1]),
						Remedy:  "go to a series that is, or try it yourself and accept it with what you tried"})
				}
			}
			return all
		},
	}
}

// untested are the minors of the lock that an image says it fits outside of a range.
func untested(l *lock.Lock, img *lock.Image, tested [2]minor) []minor {
	return slices.DeleteFunc(kubernetesMinors(l), func(m minor) bool {
		return !fits(img, m) || compareMinors(m, tested[0]) >= 0 && compareMinors(m, tested[1]) <= 0
	})
}
