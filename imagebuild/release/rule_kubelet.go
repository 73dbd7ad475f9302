package release

// kubeletRule: a kubelet may not be newer than the API server, nor more than three minors older
// (kubernetes.io/releases/version-skew-policy, for kubelets from 1.25 on). Within a lock each must find
// an API server to run with; and since masters go first, those of the lock before must find one of
// this lock.
func kubeletRule() Rule {
	return Rule{
		Name: "kubelet-skew", About: "every kubelet, of this lock and of the one before, has an API server that is no older, and at most three minors newer",
		Source: "kubernetes.io/releases/version-skew-policy",
		find:   func(s *Subject) []Finding { return nodeSkew(s, "kubelet") },
	}
}
