package release

import (
	"fmt"
	"slices"
)

// etcdStepRule holds two locks against each other: etcd's data go up by one minor at a time and never
// down (etcd.io/docs/latest/upgrades). For each series of the lock before there must be the same one
// or the next in this.
func etcdStepRule() Rule {
	return Rule{
		Name: "etcd-step", About: "every series of etcd of the lock before goes on, or goes up by one minor",
		Source: "etcd.io/docs, Upgrading",
		find: func(s *Subject) []Finding {
			if s.From == nil {
				return nil
			}
			have := minorsOf(s.Lock, "etcd")
			var all []Finding
			for _, before := range minorsOf(s.From, "etcd") {
				next := minor{before.major, before.minor + 1}
				if slices.Contains(have, before) || slices.Contains(have, next) {
					continue
				}
				all = append(all, Finding{Image: "etcd", Field: "version",
					Problem: fmt.Sprintf("data written by %s cannot go on: there is %s, and one step is exactly one minor up", before, orNothing(list(have))),
					Remedy:  fmt.Sprintf("put a lock with etcd %s between", next)})
			}
			return all
		},
	}
}
