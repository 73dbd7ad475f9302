package release

// kubectlRule: kubectl is supported within one minor of the API server, older or newer
// (kubernetes.io/releases/version-skew-policy).
func kubectlRule() Rule {
	return Rule{
		Name: "kubectl-skew", About: "every kubectl has an API server within one minor",
		Source: "kubernetes.io/releases/version-skew-policy",
		find: func(s *Subject) []Finding {
			within := func(api, ctl minor) bool {
				return api.major == ctl.major && ctl.minor >= api.minor-1 && ctl.minor <= api.minor+1
			}
			return without(s.Lock, "kubectl", kubernetesMinors(s.Lock), within, "no API server of the lock is within one minor: there is %s")
		},
	}
}
