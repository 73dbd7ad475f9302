package component

import "strings"

// DefaultKubernetes is the version of a cluster for which none is asked.
const DefaultKubernetes = "v1.36.3"

// kubernetesVersions are the versions that clusters may have, the default first.
func kubernetesVersions() []string {
	return []string{DefaultKubernetes, "v1.36.1", "v1.35.4", "v1.34.4"}
}

// endOfSupport has the last day of upstream's support for each minor, from the project's page of
// patch releases.
func endOfSupport(minor string) string {
	return map[string]string{"1.34": "2026-10-27", "1.35": "2027-02-28", "1.36": "2027-06-28"}[minor]
}

// kubernetesRecipes are the commands of one version, the one first that compiles most of what the
// others need.
func kubernetesRecipes(version string) []Recipe {
	return []Recipe{
		kubernetes(version, "kube-apiserver"),
		kubernetes(version, "kube-controller-manager"),
		kubernetes(version, "kubelet", "mount", "umount"),
		kubernetes(version, "kube-proxy", "nft"),
		kubernetes(version, "kubectl"),
		kubernetes(version, "kube-scheduler"),
	}
}

// kubernetes is one command of k8s.io/kubernetes. The module carries no VCS data, so the
// version is stamped, as upstream's own build does, in both packages that report it; the
// commit is unknown to the module proxy and is not made up.
func kubernetes(version, command string, hostTools ...string) Recipe {
	r := Recipe{
		Image:      command,
		Version:    version,
		Source:     "kubernetes/" + version,
		Module:     "k8s.io/kubernetes",
		Programs:   []Program{{"k8s.io/kubernetes/cmd/" + command, "usr/bin/" + command}},
		Tags:       []string{"selinux", "notest", "grpcnotrace"},
		Kubernetes: []string{minorOf(version)},
		Supported:  endOfSupport(minorOf(version)),
		HostTools:  hostTools,
	}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		r.Stamps = append(r.Stamps,
			pkg+".gitVersion=${version}",
			pkg+".gitMajor=${major}",
			pkg+".gitMinor=${minor}",
			pkg+".gitCommit=unknown",
			pkg+".gitTreeState=archive",
			pkg+".buildDate=1970-01-01T00:00:00Z")
	}
	return r
}

// minorOf cuts v1.36.3 to 1.36.
func minorOf(version string) string {
	bare := strings.TrimPrefix(version, "v")
	return bare[:strings.LastIndex(bare, ".")]
}

// upstream are components that are not built from Go modules here. Their digests are upstream's,
// and only a machine that reaches upstream's registry can learn them.
func upstream() []Recipe {
	const why = "upstream's digest was not fetched yet: run slipway images lock update on a machine that reaches the registry"
	recipes := []Recipe{{
		Image: "fluentd", Version: "v1.19.2", Reference: "docker.io/fluent/fluentd:v1.19.2-debian-1.0", Unresolved: why,
	}}
	for _, version := range []string{"v1.36.1", "v1.35.2", "v1.34.5"} {
		recipes = append(recipes, Recipe{
			Image: "cluster-autoscaler", Version: version, Kubernetes: []string{minorOf(version)},
			Reference: "registry.k8s.io/autoscaling/cluster-autoscaler:" + version, Unresolved: why,
		})
	}
	return recipes
}
