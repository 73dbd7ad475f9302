package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

// Accept returns the lock with one more acceptance, in the place of one about the same rule and image,
// issued anew under the next number. The rule must be one whose findings can be accepted, the image,
// NAME or NAME@VERSION, must be in the lock, and the day must not have passed.
func Accept(l *lock.Lock, a lock.Acceptance, now time.Time, life time.Duration) (*lock.Lock, error) {
	i := slices.IndexFunc(Rules(), func(r Rule) bool { return r.Name == a.Rule })
	if i < 0 || Rules()[i].Binding {
		return nil, fmt.Errorf("findings of %q cannot be accepted; those of %s can", a.Rule, words(acceptable()))
	}
	name, version, exact := strings.Cut(a.Image, "@")
	if len(l.ByName(name)) == 0 && a.Rule != "complete" {
		return nil, fmt.Errorf("there is no image %q in the lock; it has %s", name, words(names(l)))
	}
	if _, ok := l.Find(name, version); exact && !ok && a.Rule != "complete" {
		return nil, fmt.Errorf("there is no %s in the lock", a.Image)
	}
	if today := now.UTC().Format(time.DateOnly); a.Until < today {
		return nil, fmt.Errorf("%s has passed; today is %s", a.Until, today)
	}
	next := withoutAcceptance(l, a.Rule, a.Image)
	next.Accepted = append(next.Accepted, a)
	slices.SortFunc(next.Accepted, func(x, y lock.Acceptance) int {
		if n := strings.Compare(x.Rule, y.Rule); n != 0 {
			return n
		}
		return strings.Compare(x.Image, y.Image)
	})
	next.Issue(l.Number+1, now, life)
	return next, next.Validate()
}

// Retract returns the lock without the acceptance about a rule and an image, issued anew.
func Retract(l *lock.Lock, rule, image string, now time.Time, life time.Duration) (*lock.Lock, error) {
	next := withoutAcceptance(l, rule, image)
	if len(next.Accepted) == len(l.Accepted) {
		return nil, fmt.Errorf("the lock has no acceptance of %q for %q", rule, image)
	}
	next.Issue(l.Number+1, now, life)
	return next, next.Validate()
}

// withoutAcceptance copies a lock but for one acceptance.
func withoutAcceptance(l *lock.Lock, rule, image string) *lock.Lock {
	next := *l
	next.Accepted = slices.DeleteFunc(slices.Clone(l.Accepted), func(a lock.Acceptance) bool { return a.Rule == rule && a.Image == image })
	return &next
}

// acceptable are the rules whose findings can be accepted.
func acceptable() []string {
	var all []string
	for _, r := range Rules() {
		if !r.Binding {
			all = append(all, r.Name)
		}
	}
	return all
}
