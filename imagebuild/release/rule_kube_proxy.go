package release

// kubeProxyRule: kube-proxy has the range of the kubelet that it runs beside
// (kubernetes.io/releases/version-skew-policy): no newer than the API server, at most three minors older.
func kubeProxyRule() Rule {
	return Rule{
		Name: "kube-proxy-skew", About: "every kube-proxy, of this lock and of the one before, has an API server that is no older, and at most three minors newer",
		Source: "kubernetes.io/releases/version-skew-policy",
		find:   func(s *Subject) []Finding { return nodeSkew(s, "kube-proxy") },
	}
}
