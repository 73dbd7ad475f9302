package release

import (
	"fmt"

	"slipway.build/slipway/imagebuild/lock"
)

// openstackModule is the module of all of cloud-provider-openstack's programs; its releases carry the
// minors of the Kubernetes that they are made for.
const openstackModule = "k8s.io/cloud-provider-openstack"

// openstackRule: a cloud controller manager may not be newer than the API server, and at most one
// minor older (kubernetes.io/releases/version-skew-policy: kube-controller-manager, kube-scheduler and
// cloud-controller-manager). The other programs of the module are plain clients of the API, which are
// supported within one minor in either direction (the same page, for clients such as kubectl).
func openstackRule() Rule {
	return Rule{
		Name: "openstack", About: "every program of cloud-provider-openstack is within one minor of the Kubernetes that it is used for, and its controller manager is not newer",
		Source: "kubernetes.io/releases/version-skew-policy",
		find: func(s *Subject) []Finding {
			var all []Finding
			for i := range s.Lock.Images {
				img := &s.Lock.Images[i]
				if img.Source.Module == openstackModule || img.Name == "openstack-cloud-controller-manager" {
					all = append(all, openstackSkew(s.Lock, img)...)
				}
			}
			return all
		},
	}
}

func openstackSkew(l *lock.Lock, img *lock.Image) []Finding {
	own, ok := minorOf(img.Version)
	if !ok {
		return []Finding{{Image: full(img), Field: "version", Problem: "is no version", Remedy: "give its recipe one"}}
	}
	newest := 1
	rule := "it may be one minor older or newer"
	if img.Name == "openstack-cloud-controller-manager" {
		newest, rule = 0, "it may be one minor older, and not newer"
	}
	var outside []minor
	for _, m := range kubernetesMinors(l) {
		if fits(img, m) && (own.major != m.major || own.minor < m.minor-1 || own.minor > m.minor+newest) {
			outside = append(outside, m)
		}
	}
	if len(outside) == 0 {
		return nil
	}
	return []Finding{{Image: full(img), Field: "kubernetes", Problem: fmt.Sprintf("is used for Kubernetes %s; %s", list(outside), rule),
		Remedy: "name the minors that it fits in its recipe, and add the version that the others need"}}
}
