package components

// kubeControllerManager runs Kubernetes' own controllers on every master; one of them leads.
// It has no CA's key: the controller that would sign certificate requests is off, and the
// root certificate is only published to namespaces. Pod ranges come from the plan, so it
// allocates none.
func kubeControllerManager(c Cluster, n Node) Component {
	const name = "kube-controller-manager"
	ca := file(name, "kubernetes-ca.crt")
	config := file(name, "kubeconfig")
	return Component{
		Name: name, Description: "Kubernetes controller manager",
		Image: name, Binary: "usr/bin/kube-controller-manager", User: "slip-kcm",
		After: []string{unit("kube-apiserver")},
		Args: []string{
			"--kubeconfig=" + config,
			"--authentication-kubeconfig=" + config,
			"--authorization-kubeconfig=" + config,
			// All it would look up is who signs client certificates; with the file it asks nobody, and
			// a start while the API is away, or has no roles yet, goes well.
			"--authentication-skip-lookup=true",
			"--bind-address=127.0.0.1",
			"--secure-port=10257",
			"--tls-cert-file=" + certificate(ControllerManager),
			"--tls-private-key-file=" + key(ControllerManager),
			"--client-ca-file=" + ca,
			"--cluster-name=" + c.UUID,
			"--cluster-cidr=" + c.PodCIDR,
			"--service-cluster-ip-range=" + c.ServiceCIDR,
			"--allocate-node-cidrs=false",
			"--controllers=*,-certificatesigningrequest-signing-controller,-certificatesigningrequest-approving-controller",
			"--root-ca-file=" + ca,
			"--service-account-private-key-file=" + credential(name, SecretServiceAccountKey),
			"--use-service-account-credentials=true",
			// The default of 20 requests a second would make the first start wait for four seconds
			// while every controller gets its service account and token.
			"--kube-api-qps=300",
			"--kube-api-burst=600",
			"--leader-elect=true",
			"--leader-elect-retry-period=1s",
			"--profiling=false",
		},
		Certificates: []string{ControllerManager},
		Secrets:      []string{SecretServiceAccountKey},
		Files: []File{
			{"kubernetes-ca.crt", c.Authorities.Kubernetes},
			{"kubeconfig", kubeconfig(name, c.endpoint(RoleMaster), ControllerManager)},
		},
		Ports:  []Port{{10257, "loopback", "health and metrics"}},
		Limits: Limits{MemoryMiB: n.memory(1024, 25), Tasks: 1024, CPUWeight: 100},
		Ready:  ready(loopbackURL("https", 10257, "/healthz"), ca),
		Live:   alive(loopbackURL("https", 10257, "/healthz"), ca),
	}
}
