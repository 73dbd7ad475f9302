package release

import (
	"fmt"
	"slices"
)

// autoscalerRule: the cluster autoscaler simulates Kubernetes' own scheduler, so its minor is the
// cluster's (kubernetes/autoscaler, cluster-autoscaler/README.md, "Releases"). A lock without any
// autoscaler breaks nothing.
func autoscalerRule() Rule {
	const name = "cluster-autoscaler"
	return Rule{
		Name: "autoscaler", About: "every Kubernetes minor finds a cluster-autoscaler of that minor, once there is any, and no other",
		Source: "kubernetes/autoscaler, cluster-autoscaler/README.md, Releases",
		find: func(s *Subject) []Finding {
			images := s.Lock.ByName(name)
			if len(images) == 0 {
				return nil
			}
			var all []Finding
			for _, img := range images {
				m, ok := minorOf(img.Version)
				if !ok || !slices.Equal(img.Kubernetes, []string{m.String()}) {
					all = append(all, Finding{Image: full(img), Field: "kubernetes", Problem: fmt.Sprintf("%q is not the one minor that it is of", img.Kubernetes),
						Remedy: "name exactly its own minor"})
				}
			}
			for _, kubernetes := range kubernetesMinors(s.Lock) {
				if !slices.Contains(minorsOf(s.Lock, name), kubernetes) {
					all = append(all, Finding{Image: name, Field: "version", Problem: fmt.Sprintf("there is none for Kubernetes %s", kubernetes),
						Remedy: fmt.Sprintf("add a %s of %s", name, kubernetes)})
				}
			}
			return all
		},
	}
}
