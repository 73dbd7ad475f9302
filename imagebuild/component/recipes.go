package component

import "slices"

// Toolchain is the exact Go toolchain of every build. The go command fetches it when the
// machine has another one.
const Toolchain = "go1.26.7"

// Recipes returns the recipes of all component images, in the order in which a cold build
// is fastest: what is small comes first, and what the others of the same module reuse comes
// before them.
func Recipes() []Recipe {
	recipes := slices.Concat(runtimeRecipes(), monitoring(), cloudProvider(), calico(), own())
	for _, version := range kubernetesVersions() {
		recipes = append(recipes, kubernetesRecipes(version)...)
	}
	return append(recipes, upstream()...)
}

// ClusterImages names the images that a cluster of DefaultKubernetes needs, kubectl among them.
func ClusterImages() []string {
	var names []string
	for _, r := range append(kubernetesRecipes(DefaultKubernetes), runtimeRecipes()...) {
		names = append(names, r.ID())
	}
	return names
}

// runtimeRecipes are what every cluster has beside Kubernetes itself.
func runtimeRecipes() []Recipe {
	return []Recipe{pause(), cni(), etcd(), coredns(), containerd(), shim()}
}

// etcd 3.6 is the series that Kubernetes up to 1.36 is tested with.
func etcd() Recipe {
	return Recipe{
		Image:    "etcd",
		Version:  "v3.6.16",
		Source:   "etcd",
		Module:   "go.etcd.io/etcd/server/v3",
		Programs: []Program{{"go.etcd.io/etcd/server/v3", "usr/bin/etcd"}},
		Tags:     []string{"grpcnotrace"},
		Stamps:   []string{"go.etcd.io/etcd/api/v3/version.GitSHA=unknown"},
	}
}

// containerd leaves out the snapshotters that no node uses: they need file systems and
// libraries that the node OS does not have.
func containerd() Recipe {
	return Recipe{
		Image:    "containerd",
		Version:  "v2.4.2",
		Source:   "containerd",
		Module:   "github.com/containerd/containerd/v2",
		Programs: []Program{{"github.com/containerd/containerd/v2/cmd/containerd", "usr/bin/containerd"}},
		Tags:     []string{"no_btrfs", "no_devmapper", "no_zfs", "urfave_cli_no_docs", "grpcnotrace"},
		Stamps:   []string{"github.com/containerd/containerd/v2/version.Version=${version}"},
	}
}

// shim is a process per pod, so it is built without gRPC, as upstream's release is.
func shim() Recipe {
	return Recipe{
		Image:     "containerd-shim",
		Version:   "v2.4.2",
		Source:    "containerd",
		Module:    "github.com/containerd/containerd/v2",
		Programs:  []Program{{"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", "usr/bin/containerd-shim-runc-v2"}},
		Tags:      []string{"urfave_cli_no_docs", "no_grpc"},
		Stamps:    []string{"github.com/containerd/containerd/v2/version.Version=${version}"},
		HostTools: []string{"runc"},
	}
}

// cni has the plugins of the pod network in one image: they are files that the runtime
// executes, not components of their own.
func cni() Recipe {
	const plugins = "github.com/containernetworking/plugins/plugins/"
	return Recipe{
		Image:   "cni",
		Version: "v1.9.1",
		Source:  "cni",
		Module:  "github.com/containernetworking/plugins",
		Programs: []Program{
			{plugins + "main/bridge", "usr/lib/cni/bridge"},
			{plugins + "ipam/host-local", "usr/lib/cni/host-local"},
			{plugins + "main/loopback", "usr/lib/cni/loopback"},
			{plugins + "meta/portmap", "usr/lib/cni/portmap"},
		},
		Stamps:    []string{"github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=${version}"},
		HostTools: []string{"iptables"},
	}
}

func coredns() Recipe {
	return Recipe{
		Image:    "coredns",
		Version:  "v1.15.0",
		Source:   "coredns",
		Module:   "github.com/coredns/coredns",
		Programs: []Program{{"github.com/coredns/coredns", "usr/bin/coredns"}},
		Tags:     []string{"grpcnotrace"},
	}
}

// pause is our own: it holds a pod's namespaces and reaps what is left behind in them.
func pause() Recipe {
	return Recipe{
		Image:    "pause",
		Version:  "v1.0.0",
		Source:   "pause",
		Module:   "slipway.build/pause",
		Programs: []Program{{"slipway.build/pause", "usr/bin/pause"}},
		User:     "65535:65535",
	}
}
