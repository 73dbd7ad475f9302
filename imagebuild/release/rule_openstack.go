package release

import (
	"fmt"

	"slipway.build/slipway/imagebuild/lock"
)

// openstackRule: a cloud controller manager may not be newer than the API server, and at most one
// minor older (kubernetes.io/releases/version-skew-policy: kube-controller-manager, kube-scheduler and
// cloud-controller-manager). Releases of cloud-provider-openstack carry the minor of the Kubernetes that
// they are made for. Its other programs are clients of APIs that Kubernetes does not take away within
// a major version, so they have no range of their own.
func openstackRule() Rule {
	const name = "openstack-cloud-controller-manager"
	return Rule{
		Name: "openstack", About: "every OpenStack cloud controller manager is of the Kubernetes minor that it is used for, or of the one before",
		Source: "kubernetes.io/releases/version-skew-policy",
		find: func(s *Subject) []Finding {
			var all []Finding
			for _, img := range s.Lock.ByName(name) {
				own, ok := minorOf(img.Version)
				if !ok {
					all = append(all, Finding{Image: full(img), Field: "version", Problem: "is no version", Remedy: "give its recipe one"})
					continue
				}
				if outside := beyondOneOlder(s.Lock, img, own); len(outside) > 0 {
					all = append(all, Finding{Image: full(img), Field: "kubernetes",
						Problem: fmt.Sprintf("is used for Kubernetes %s; it may be one minor older, and not newer", list(outside)),
						Remedy:  "name the minors that it fits in its recipe, and add the version that the others need"})
				}
			}
			return all
		},
	}
}

// beyondOneOlder are the minors of the lock that an image says it fits and is newer than, or more than
// one minor older than.
func beyondOneOlder(l *lock.Lock, img *lock.Image, own minor) []minor {
	var outside []minor
	for _, m := range kubernetesMinors(l) {
		if fits(img, m) && (own.major != m.major || own.minor < m.minor-1 || own.minor > m.minor) {
			outside = append(outside, m)
		}
	}
	return outside
}
