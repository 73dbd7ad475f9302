package components

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/lock"
)

// kubernetesImages carry the cluster's own version; others only have to fit its minor.
var kubernetesImages = [...]string{
	"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet",
}

// image finds the image of the lock that fits the cluster, on the cluster's platform: of Kubernetes'
// own programs the one of the cluster's version, of others the newest that fits its minor. An
// unresolved one does not stand in the way of another that fits.
func (c Cluster) image(name string) (plan.Image, error) {
	exact := slices.Contains(kubernetesImages[:], name)
	var best *lock.Image
	var refused []string
	refuse := func(format string, a ...any) { refused = append(refused, fmt.Sprintf(format, a...)) }
	for _, i := range c.Lock.ByName(name) {
		switch {
		case exact && i.Version != c.KubernetesVersion:
			refuse("the lock has version %s", i.Version)
		case len(i.Kubernetes) > 0 && !slices.Contains(i.Kubernetes, c.minor()):
			refuse("the lock's version %s fits Kubernetes %v only", i.Version, i.Kubernetes)
		case i.Unresolved != "":
			refuse("version %s is unresolved: %s", i.Version, i.Unresolved)
		case manifest(i, c.Platform) == "":
			refuse("the lock has no digest of version %s for %s", i.Version, c.Platform)
		case best == nil || semver.Compare(i.Version, best.Version) > 0:
			best = i
		}
	}
	if best != nil {
		return plan.Image{Name: name, Repository: best.Repository, Digest: manifest(best, c.Platform)}, nil
	}
	if refused == nil {
		refuse("the lock has no such image")
	}
	return plan.Image{}, fmt.Errorf("%w: image %s for Kubernetes %s: %s", ErrFacts, name, c.KubernetesVersion, strings.Join(refused, "; "))
}

// manifest is the digest of an image for a platform, "" when there is none.
func manifest(i *lock.Image, platform string) string {
	p, ok := i.For(platform)
	if !ok {
		return ""
	}
	return p.Manifest
}

// KubernetesVersions returns the versions of clusters that a lock can make for a platform, in order:
// those in which it has every program of Kubernetes that nodes run. A platform left empty is
// "linux/amd64".
func KubernetesVersions(l *lock.Lock, platform string) []string {
	c := Cluster{Lock: l, Platform: platform}.withDefaults()
	var all []string
	for _, i := range l.ByName(kubernetesImages[0]) {
		c.KubernetesVersion = i.Version
		whole := true
		for _, name := range kubernetesImages {
			_, err := c.image(name)
			whole = whole && err == nil
		}
		if whole {
			all = append(all, i.Version)
		}
	}
	slices.SortFunc(all, semver.Compare)
	return all
}
