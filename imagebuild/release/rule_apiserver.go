package release

import "fmt"

// apiServerRule holds two locks against each other: an API server goes up by one minor at a time and
// never down (kubernetes.io/releases/version-skew-policy, "Supported component upgrade order"). A
// lock that follows another must have a way for each minor of it: the same one, or the next.
func apiServerRule() Rule {
	return Rule{
		Name: "apiserver-step", About: "every Kubernetes minor of the lock before goes on, or goes up by one",
		Source: "kubernetes.io/releases/version-skew-policy",
		find: func(s *Subject) []Finding {
			if s.From == nil {
				return nil
			}
			have := kubernetesMinors(s.Lock)
			var all []Finding
			for _, before := range kubernetesMinors(s.From) {
				way := false
				for _, m := range have {
					way = way || m.major == before.major && (m.minor == before.minor || m.minor == before.minor+1)
				}
				if !way {
					all = append(all, Finding{Image: "kube-apiserver", Field: "version",
						Problem: fmt.Sprintf("clusters on %s have no way on: there is %s, and one step is at most one minor up", before, orNothing(list(have))),
						Remedy:  fmt.Sprintf("keep a %s, or add the %d.%d between", before, before.major, before.minor+1)})
				}
			}
			return all
		},
	}
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
