package components

import (
	"fmt"
	"slices"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/lock"
)

// kubernetesImages carry the cluster's own version; others only have to fit its minor.
var kubernetesImages = [...]string{
	"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet",
}

// image finds an image of the lock that fits the cluster, on the cluster's platform.
func (c Cluster) image(name string) (plan.Image, error) {
	exact := slices.Contains(kubernetesImages[:], name)
	var refused string
	for _, i := range c.Lock.Images {
		if i.Name != name {
			continue
		}
		switch {
		case exact && i.Version != c.KubernetesVersion:
			refused = fmt.Sprintf("the lock has version %s", i.Version)
		case len(i.Kubernetes) > 0 && !slices.Contains(i.Kubernetes, c.minor()):
			refused = fmt.Sprintf("the lock's version %s fits Kubernetes %v only", i.Version, i.Kubernetes)
		case i.Unresolved != "":
			refused = "it is unresolved: " + i.Unresolved
		default:
			p := slices.IndexFunc(i.Platforms, func(p lock.Platform) bool { return p.Platform == c.Platform })
			if p < 0 || i.Platforms[p].Manifest == "" {
				refused = "the lock has no digest of it for " + c.Platform
				continue
			}
			return plan.Image{Name: name, Repository: i.Repository, Digest: i.Platforms[p].Manifest}, nil
		}
	}
	if refused == "" {
		refused = "the lock has no such image"
	}
	return plan.Image{}, fmt.Errorf("%w: image %s for Kubernetes %s: %s", ErrFacts, name, c.KubernetesVersion, refused)
}
