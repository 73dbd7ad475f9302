package release

import (
	"fmt"

	"slipway.build/slipway/imagebuild/lock"
)

// etcdSeries returns the series of etcd that Kubernetes is tested with, by Kubernetes minor: the map
// SupportedEtcdVersion in cmd/kubeadm/app/constants of k8s.io/kubernetes v1.34.4 (1.31 to 1.34: 3.5.24,
// 3.6.5), v1.35.4 (1.33: 3.5.24; 1.34 and 1.35: 3.6.6) and v1.36.3 (1.34 to 1.36: 3.6.8).
func etcdSeries() map[minor]minor {
	return map[minor]minor{
		{1, 31}: {3, 5}, {1, 32}: {3, 5}, {1, 33}: {3, 5},
		{1, 34}: {3, 6}, {1, 35}: {3, 6}, {1, 36}: {3, 6},
	}
}

// etcdSeriesRule wants, for every Kubernetes minor of the lock, an etcd of the series that it is
// tested with, and none that fits only by its own word.
func etcdSeriesRule() Rule {
	return Rule{
		Name: "etcd-series", About: "every Kubernetes minor finds an etcd of the series that it is tested with",
		Source: "SupportedEtcdVersion in cmd/kubeadm/app/constants of k8s.io/kubernetes",
		find: func(s *Subject) []Finding {
			var all []Finding
			for _, kubernetes := range kubernetesMinors(s.Lock) {
				series, known := etcdSeries()[kubernetes]
				if !known {
					all = append(all, Finding{Image: "etcd", Field: "version", Problem: fmt.Sprintf("it is not known here which series Kubernetes %s is tested with", kubernetes),
						Remedy: "look it up in that release's kubeadm constants and add it to the rule"})
					continue
				}
				all = append(all, oneSeries(s.Lock, kubernetes, series)...)
			}
			return all
		},
	}
}

// oneSeries looks at the etcds that say that they fit a Kubernetes minor.
func oneSeries(l *lock.Lock, kubernetes, series minor) []Finding {
	var all []Finding
	found := false
	for _, img := range l.ByName("etcd") {
		if !fits(img, kubernetes) {
			continue
		}
		m, ok := minorOf(img.Version)
		if ok && m == series {
			found = true
			continue
		}
		all = append(all, Finding{Image: full(img), Field: "kubernetes", Problem: fmt.Sprintf("says that it fits Kubernetes %s, which is tested with etcd %s", kubernetes, series),
			Remedy: "name the minors that it fits in its recipe"})
	}
	if !found {
		all = append(all, Finding{Image: "etcd", Field: "version", Problem: fmt.Sprintf("there is no etcd %s for Kubernetes %s", series, kubernetes),
			Remedy: fmt.Sprintf("add a recipe of an etcd %s", series)})
	}
	return all
}
