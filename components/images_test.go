package components

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

// digestOf is the manifest of an image in these tests.
func digestOf(name, version string) string {
	sum := sha256.Sum256([]byte(name + "@" + version))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// twoVersions is a lock of 1.36.1 and 1.36.3, and of several versions of what both need.
func twoVersions() *lock.Lock {
	l := &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.7"}
	add := func(name, version string, minors ...string) {
		l.Images = append(l.Images, lock.Image{Name: name, Version: version, Repository: "slipway/" + name, Kubernetes: minors,
			Platforms: []lock.Platform{{Platform: "linux/amd64", Manifest: digestOf(name, version)}}})
	}
	for _, name := range []string{"cni", "containerd", "containerd-shim", "pause"} {
		add(name, "v1.0.0")
	}
	for _, version := range []string{"v1.9.4", "v1.10.0", "v1.9.10"} { // the newest is not the last by its text
		add("coredns", version)
	}
	add("etcd", "v3.6.16", "1.36")
	add("etcd", "v3.7.3", "1.37")
	for _, version := range []string{"v1.36.1", "v1.36.3"} {
		for _, name := range kubernetesImages {
			add(name, version, "1.36")
		}
	}
	slices.SortFunc(l.Images, func(a, b lock.Image) int { return a.Compare(&b) })
	return l
}

func TestTwoClustersOfOneLockHaveTheirOwnVersions(t *testing.T) {
	for _, version := range []string{"v1.36.1", "v1.36.3"} {
		c := testCluster()
		c.Lock, c.KubernetesVersion = twoVersions(), version
		p, err := Master(c, testMaster())
		if err != nil {
			t.Fatal(err)
		}
		images := map[string]string{}
		for _, i := range p.Images {
			if images[i.Name] != "" {
				t.Errorf("%s: %s is there twice", version, i.Name)
			}
			images[i.Name] = i.Digest
		}
		for _, name := range kubernetesImages {
			if images[name] != digestOf(name, version) {
				t.Errorf("%s: %s has %s", version, name, images[name])
			}
		}
		if images["coredns"] != digestOf("coredns", "v1.10.0") || images["etcd"] != digestOf("etcd", "v3.6.16") {
			t.Errorf("%s: coredns %s, etcd %s", version, images["coredns"], images["etcd"])
		}
	}
}

func TestTheNewestThatFitsIsTakenInWhateverOrder(t *testing.T) {
	c := testCluster()
	c.Lock = twoVersions()
	slices.Reverse(c.Lock.Images)
	c = c.withDefaults()
	i, err := c.image("coredns")
	if err != nil || i.Digest != digestOf("coredns", "v1.10.0") {
		t.Errorf("%+v, %v", i, err)
	}
	// One that cannot run does not stand in the way of one that can.
	for _, img := range c.Lock.ByName("coredns") {
		if img.Version == "v1.10.0" {
			img.Platforms, img.Unresolved = nil, "no network"
		}
	}
	if i, err = c.image("coredns"); err != nil || i.Digest != digestOf("coredns", "v1.9.10") {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestAVersionThatTheLockDoesNotHaveNamesThoseThatItHas(t *testing.T) {
	c := testCluster()
	c.Lock, c.KubernetesVersion = twoVersions(), "v1.36.2"
	_, err := Master(c, testMaster())
	if !errors.Is(err, ErrFacts) || !strings.Contains(err.Error(), "v1.36.1") || !strings.Contains(err.Error(), "v1.36.3") {
		t.Errorf("got %v", err)
	}
}

func TestALockMakesClustersOfWholeReleasesOnly(t *testing.T) {
	l := twoVersions()
	l.Images = append(l.Images, lock.Image{Name: "kube-apiserver", Version: "v1.36.10", Platforms: []lock.Platform{{Platform: "linux/amd64", Manifest: digestOf("x", "y")}}})
	if got := KubernetesVersions(l, ""); !slices.Equal(got, []string{"v1.36.1", "v1.36.3"}) {
		t.Errorf("got %v", got)
	}
	if got := KubernetesVersions(l, "linux/arm64"); len(got) != 0 {
		t.Errorf("for arm64: %v", got)
	}
}
