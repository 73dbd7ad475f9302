package release

import (
	"fmt"

	"slipway.build/slipway/imagebuild/lock"
)

// oldestOnNodes is by how many minors a kubelet or a kube-proxy may be older than its API server.
const oldestOnNodes = 3

// nodeSkew finds the versions of a program of nodes that no API server of the lock goes with.
func nodeSkew(s *Subject, name string) []Finding {
	apis := kubernetesMinors(s.Lock)
	within := func(api, node minor) bool {
		return api.major == node.major && node.minor <= api.minor && node.minor >= api.minor-oldestOnNodes
	}
	all := without(s.Lock, name, apis, within, "no API server of the lock goes with it: there is %s, and it may be no newer than that, nor more than three minors older")
	if s.From == nil {
		return all
	}
	for _, img := range s.From.ByName(name) {
		if _, ok := s.Lock.Find(name, img.Version); ok {
			continue // judged already
		}
		m, ok := minorOf(img.Version)
		if !ok || anyMinor(apis, m, within) {
			continue
		}
		all = append(all, Finding{Image: full(img), Field: "version", // of the lock before
			Problem: fmt.Sprintf("nodes that have it cannot follow: this lock's API servers are %s, and masters go first", orNothing(list(apis))),
			Remedy:  "keep an API server that it goes with, or go there in two steps"})
	}
	return all
}

// without finds the versions of an image that none of the API servers goes with.
func without(l *lock.Lock, name string, apis []minor, within func(api, other minor) bool, problem string) []Finding {
	var all []Finding
	for _, img := range l.ByName(name) {
		m, ok := minorOf(img.Version)
		switch {
		case !ok:
			all = append(all, Finding{Image: full(img), Field: "version", Problem: "is no version of Kubernetes", Remedy: "give its recipe one"})
		case !anyMinor(apis, m, within):
			all = append(all, Finding{Image: full(img), Field: "version", Problem: fmt.Sprintf(problem, orNothing(list(apis))),
				Remedy: "add the release that it is of, or take it out"})
		}
	}
	return all
}

func anyMinor(apis []minor, m minor, within func(api, other minor) bool) bool {
	for _, api := range apis {
		if within(api, m) {
			return true
		}
	}
	return false
}
