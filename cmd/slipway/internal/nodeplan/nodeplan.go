package nodeplan

import (
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/components"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
)

// Way is what a cluster goes between.
type Way struct {
	From, To *lock.Lock
	// FromVersion and ToVersion are the cluster's Kubernetes versions; empty is the newest of the lock.
	FromVersion, ToVersion string
	Platform               string // "linux/amd64" when empty
}

// Deltas returns what a master and a worker do on that way. It is an error if one of the locks does
// not have all that a cluster of that version needs.
func Deltas(w Way) ([]release.NodeDelta, error) {
	if w.Platform == "" {
		w.Platform = "linux/amd64"
	}
	for _, side := range []struct {
		of      *lock.Lock
		version *string
	}{{w.From, &w.FromVersion}, {w.To, &w.ToVersion}} {
		if *side.version == "" {
			*side.version = newest(side.of, w.Platform)
		}
		if *side.version == "" {
			return nil, fmt.Errorf("lock %d has no Kubernetes for %s", side.of.Number, w.Platform)
		}
	}
	var all []release.NodeDelta
	for _, role := range []components.Role{components.RoleMaster, components.RoleWorker} {
		before, have, err := under(w.From, w.FromVersion, w.Platform, role)
		if err != nil {
			return nil, fmt.Errorf("lock %d: %w", w.From.Number, err)
		}
		after, want, err := under(w.To, w.ToVersion, w.Platform, role)
		if err != nil {
			return nil, fmt.Errorf("lock %d: %w", w.To.Number, err)
		}
		changes := generation.Compare(before, after)
		all = append(all, release.NodeDelta{
			Role: string(role), Platform: w.Platform, From: w.FromVersion, To: w.ToVersion,
			Fetch: release.Between(have, want),
			Stop:  changes.Stop, Restart: changes.Restart, Start: changes.Start,
		})
	}
	return all, nil
}

// newest is the newest Kubernetes that a lock has for a platform, "" when it has none.
func newest(l *lock.Lock, platform string) string {
	version := ""
	for _, img := range l.ByName("kube-apiserver") {
		if _, ok := img.For(platform); ok && (version == "" || release.Newer(img.Version, version) > 0) {
			version = img.Version
		}
	}
	return version
}

// under returns the generation that a node of a cluster like any other has under a lock, and its images.
func under(l *lock.Lock, version, platform string, role components.Role) (*generation.Generation, []release.Held, error) {
	c, n := example(l, version, platform)
	render := components.Worker
	if role == components.RoleMaster {
		render = components.Master
	}
	p, err := render(c, n)
	if err != nil {
		return nil, nil, err
	}
	checked := &trust.Checked{Plan: &p, Lock: l, Platforms: map[string]*lock.Platform{}}
	var held []release.Held
	for _, image := range p.Images {
		entry, entryPlatform, ok := l.ByManifest(image.Digest)
		if !ok {
			return nil, nil, fmt.Errorf("the plan of a %s names image %s by a manifest that the lock does not have", role, image.Name)
		}
		checked.Platforms[image.Name] = entryPlatform
		held = append(held, release.Held{Image: entry, Platform: entryPlatform, Pods: image.Import != ""})
	}
	slices.SortStableFunc(held, func(a, b release.Held) int { return strings.Compare(a.Image.Name, b.Image.Name) })
	return (&generation.Store{Root: plan.Root}).Of(checked), held, nil
}

// example are facts of a cluster that no one has: what nodes fetch and restart hangs on the lock only.
func example(l *lock.Lock, version, platform string) (components.Cluster, components.Node) {
	const id = "00000000-0000-4000-8000-000000000000"
	master := components.Peer{Name: "k8s-master-0", Address: "192.0.2.10"}
	c := components.Cluster{
		UUID: id, Name: "k8s", KubernetesVersion: version, Platform: platform,
		Lock: l, LockDigest: "sha256:" + strings.Repeat("0", 64), Registries: []string{"http://192.0.2.1:5000"},
		Masters: []components.Peer{master}, APIAddress: "192.0.2.5",
		Authorities:      components.Authorities{Kubernetes: "-", Etcd: "-", FrontProxy: "-"},
		EtcdBootstrapped: true, Deployment: id,
	}
	return c, components.Node{
		ID: id, Name: master.Name, Address: master.Address, PodCIDR: "10.100.0.0/24", Deployment: id, Generation: 1,
	}
}
