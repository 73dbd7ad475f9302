package release

import (
	"slices"
	"strings"
)

// releaseSet are the programs of one Kubernetes release, sorted; a cluster needs all of them in the
// same version.
func releaseSet() []string {
	return []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"}
}

// completeRule wants whole Kubernetes releases.
func completeRule() Rule {
	return Rule{
		Name: "complete", About: "every Kubernetes release of the lock has all its programs in that version",
		find: func(s *Subject) []Finding {
			at := map[string][]string{} // programs by version
			for _, name := range releaseSet() {
				for _, img := range s.Lock.ByName(name) {
					at[img.Version] = append(at[img.Version], name)
				}
			}
			var versions []string
			for version := range at {
				versions = append(versions, version)
			}
			slices.SortFunc(versions, Newer)
			var all []Finding
			for _, version := range versions {
				for _, name := range releaseSet() {
					if !slices.Contains(at[version], name) {
						all = append(all, Finding{Image: name + "@" + version, Field: "images",
							Problem: "is missing beside " + strings.Join(at[version], ", "), Remedy: "add its recipe, or take that release out"})
					}
				}
			}
			return all
		},
	}
}
