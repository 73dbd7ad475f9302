package components

// kubeScheduler assigns pods to nodes; it runs on every master and one of them leads.
func kubeScheduler(c Cluster, n Node) Component {
	const name = "kube-scheduler"
	ca := file(name, "kubernetes-ca.crt")
	config := file(name, "kubeconfig")
	return Component{
		Name: name, Description: "Kubernetes scheduler",
		Image: name, Binary: "usr/bin/kube-scheduler", User: "slip-scheduler",
		After: []string{unit("kube-apiserver")},
		Args: []string{
			"--kubeconfig=" + config,
			"--authentication-kubeconfig=" + config,
			"--authorization-kubeconfig=" + config,
			// All it would look up is who signs client certificates; with the file it asks nobody, and
			// a start while the API is away, or has no roles yet, goes well.
			"--authentication-skip-lookup=true",
			"--bind-address=127.0.0.1",
			"--secure-port=10259",
			"--tls-cert-file=" + certificate(Scheduler),
			"--tls-private-key-file=" + key(Scheduler),
			"--client-ca-file=" + ca,
			"--leader-elect=true",
			"--leader-elect-retry-period=1s",
			"--profiling=false",
		},
		Certificates: []string{Scheduler},
		Files: []File{
			{"kubernetes-ca.crt", c.Authorities.Kubernetes},
			{"kubeconfig", kubeconfig(name, c.endpoint(RoleMaster), Scheduler)},
		},
		Ports:  []Port{{10259, "loopback", "health and metrics"}},
		Limits: Limits{MemoryMiB: n.memory(1024, 25), Tasks: 1024, CPUWeight: 100},
		Ready:  ready(loopbackURL("https", 10259, "/healthz"), ca),
		Live:   alive(loopbackURL("https", 10259, "/healthz"), ca),
	}
}
