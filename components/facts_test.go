package components

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

// testLock holds every image that plans use, with digests made of their names.
func testLock() *lock.Lock {
	l := &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.7"}
	for _, i := range []struct{ name, version string }{
		{"cni", "v1.9.0"}, {"containerd", "v2.4.2"}, {"containerd-shim", "v2.4.2"}, {"coredns", "v1.13.0"}, {"etcd", "v3.6.16"},
		{"kube-apiserver", "v1.36.3"}, {"kube-controller-manager", "v1.36.3"}, {"kube-proxy", "v1.36.3"},
		{"kube-scheduler", "v1.36.3"}, {"kubelet", "v1.36.3"}, {"pause", "v1.0.0"},
	} {
		sum := sha256.Sum256([]byte(i.name))
		l.Images = append(l.Images, lock.Image{
			Name: i.name, Version: i.version, Repository: "slipway/" + i.name,
			Platforms: []lock.Platform{{Platform: "linux/amd64", Manifest: "sha256:" + hex.EncodeToString(sum[:])}},
		})
	}
	return l
}

func testCluster() Cluster {
	return Cluster{
		UUID: "5d12f6fd-a196-4bf0-ae4c-1f639a523a52", Name: "k8s", KubernetesVersion: "v1.36.3",
		Lock: testLock(), LockDigest: "sha256:" + strings.Repeat("ab", 32),
		Registries: []string{"http://192.0.2.1:5000"},
		Masters:    []Peer{{"k8s-master-0", "10.0.0.10"}, {"k8s-master-1", "10.0.0.11"}, {"k8s-master-2", "10.0.0.12"}},
		APIAddress: "10.0.0.5", APIFloatingIP: "198.51.100.7", UpstreamDNS: []string{"192.0.2.53", "192.0.2.54"},
		Authorities: Authorities{Kubernetes: "(kubernetes CA)\n", Etcd: "(etcd CA)\n", FrontProxy: "(front-proxy CA)\n"},
		Deployment:  "c2a1a0b8-0000-4000-8000-000000000001",
	}
}

func testMaster() Node {
	return Node{
		ID: "0a3a4a46-1111-4222-8333-444455556666", Name: "k8s-master-0", Nodegroup: "default-master", Address: "10.0.0.10",
		PodCIDR: "10.100.0.0/24", Deployment: "c2a1a0b8-0000-4000-8000-000000000002", Generation: 1, First: true,
	}
}

func testWorker() Node {
	return Node{
		ID: "0a3a4a46-1111-4222-8333-444455556667", Name: "k8s-node-0", Nodegroup: "default-worker", Address: "10.0.0.20",
		PodCIDR: "10.100.3.0/24", Deployment: "c2a1a0b8-0000-4000-8000-000000000003", Generation: 1, MemoryMiB: 8192,
	}
}

func TestFactsThatContradictMakeNoPlan(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *Cluster, n *Node)
		want   string
	}{
		"no lock":                            {func(c *Cluster, _ *Node) { c.Lock = nil }, "lock"},
		"no registry":                        {func(c *Cluster, _ *Node) { c.Registries = nil }, "registries"},
		"no etcd CA":                         {func(c *Cluster, _ *Node) { c.Authorities.Etcd = "" }, "etcd CA"},
		"an image that is not in the lock":   {func(c *Cluster, _ *Node) { c.Lock.Images = c.Lock.Images[1:] }, "image cni"},
		"another version than the lock's":    {func(c *Cluster, _ *Node) { c.KubernetesVersion = "v1.36.1" }, "the lock has version v1.36.3"},
		"an unresolved image":                {func(c *Cluster, _ *Node) { c.Lock.Images[4].Unresolved = "not built" }, "unresolved: not built"},
		"an image for another minor":         {func(c *Cluster, _ *Node) { c.Lock.Images[4].Kubernetes = []string{"1.35"} }, "[1.35]"},
		"a platform that was not built":      {func(c *Cluster, _ *Node) { c.Platform = "linux/arm64" }, "linux/arm64"},
		"a master that is not listed":        {func(_ *Cluster, n *Node) { n.Address = "10.0.0.99" }, "not among"},
		"an API address that is none":        {func(c *Cluster, _ *Node) { c.APIAddress = "lb" }, `API address "lb"`},
		"an IPv6 name server":                {func(c *Cluster, _ *Node) { c.UpstreamDNS = []string{"::1"} }, "name server"},
		"a pod range outside of the cluster": {func(_ *Cluster, n *Node) { n.PodCIDR = "10.99.0.0/24" }, "pod range"},
		"a pod range that is the whole":      {func(_ *Cluster, n *Node) { n.PodCIDR = "10.96.0.0/12" }, "pod range"},
		"services among the pods":            {func(c *Cluster, _ *Node) { c.ServiceCIDR = "10.100.200.0/24" }, "overlaps"},
		"a DNS address outside of services":  {func(c *Cluster, _ *Node) { c.DNSServiceIP = "10.0.0.10" }, "outside"},
		"generation zero":                    {func(_ *Cluster, n *Node) { n.Generation = 0 }, "generation"},
		"a first master without deployment":  {func(c *Cluster, _ *Node) { c.Deployment = "" }, "cluster deployment"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, node := testCluster(), testMaster()
			c.change(&cluster, &node)
			_, err := Master(cluster, node)
			if !errors.Is(err, ErrFacts) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	n := testWorker()
	n.First = true
	if _, err := Worker(testCluster(), n); !errors.Is(err, ErrFacts) {
		t.Errorf("a worker that is the first master: %v", err)
	}
}
