package components

// kubeProxy makes Services reachable on a node by nftables, with the node OS's nft: a change is
// one transaction of a single program, and its cost follows what changed, not all that is there.
// It works on the node's network namespace, so it is root there, with the capabilities for that
// alone and a read-only file system.
func kubeProxy(c Cluster, n Node) Component {
	const name = "kube-proxy"
	var after []string
	if n.Role == RoleMaster {
		after = []string{unit("kube-apiserver")}
	}
	return Component{
		Name: name, Description: "Kubernetes service proxy",
		Image: name, Binary: "usr/bin/kube-proxy",
		After:        after,
		Args:         []string{"--config=" + file(name, "config.yaml"), "--hostname-override=" + n.Name},
		Env:          []string{hostPath},
		Certificates: []string{KubeProxy},
		Files: []File{
			{"kubernetes-ca.crt", c.Authorities.Kubernetes},
			{"kubeconfig", kubeconfig(name, c.endpoint(n.Role), KubeProxy)},
			{"config.yaml", kubeProxyConfiguration(c)},
		},
		Ports:  []Port{{10256, "loopback", "health"}, {10249, "loopback", "metrics"}},
		Limits: Limits{MemoryMiB: n.memory(512, 10), Tasks: 1024, CPUWeight: 100},
		Service: [][2]string{
			{"CapabilityBoundingSet", "CAP_NET_ADMIN CAP_NET_RAW"},
			{"NoNewPrivileges", "yes"},
			{"ProtectSystem", "strict"},
			{"ReadWritePaths", "/run"},
			{"ProtectHome", "yes"},
			{"ProtectClock", "yes"},
			{"ProtectKernelLogs", "yes"},
			{"LockPersonality", "yes"},
			{"MemoryDenyWriteExecute", "yes"},
			{"RestrictNamespaces", "yes"},
			{"RestrictRealtime", "yes"},
			{"RestrictSUIDSGID", "yes"},
			{"RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"},
			{"SystemCallArchitectures", "native"},
			{"SystemCallFilter", "@system-service"},
			{"SystemCallErrorNumber", "EPERM"},
		},
		// /livez says that the proxy runs; /healthz would also ask whether the node is to be
		// taken out of a cloud's load balancers.
		Await: awaitAPI(c, n, file(name, "kubernetes-ca.crt")),
		Ready: ready(loopbackURL("http", 10256, "/livez"), ""),
		Live:  alive(loopbackURL("http", 10256, "/livez"), ""),
	}
}

// kubeProxyConfiguration leaves the size of the connection table to the node: in a container
// it is the host's, and a value out of the number of processors would be wrong there.
func kubeProxyConfiguration(c Cluster) string {
	return `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: ` + file("kube-proxy", "kubeconfig") + `
clusterCIDR: ` + c.PodCIDR + `
conntrack:
  maxPerCore: 0
  min: 0
detectLocalMode: ClusterCIDR
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
mode: nftables
nftables:
  minSyncPeriod: 200ms
  syncPeriod: 30s
`
}
