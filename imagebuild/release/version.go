package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"

	"slipway.build/slipway/imagebuild/lock"
)

// canonical returns a version as package semver wants it, with its v; "" for what is no version.
func canonical(version string) string {
	if !strings.HasPrefix(version, "v") {
		version = "v" + version
	}
	if !semver.IsValid(version) {
		return ""
	}
	return version
}

// Newer orders versions by precedence, whatever their leading v; what is no version comes first, by
// its text. The result is below, at or above zero as a is older, the same or newer than b.
func Newer(a, b string) int {
	if n := semver.Compare(canonical(a), canonical(b)); n != 0 {
		return n
	}
	return strings.Compare(a, b)
}

// minor is a series of releases such as 1.36.
type minor struct{ major, minor int }

func (m minor) String() string { return fmt.Sprintf("%d.%d", m.major, m.minor) }

// minorOf returns the series of a version, with or without v and patch.
func minorOf(version string) (minor, bool) {
	v := canonical(version)
	if v == "" {
		return minor{}, false
	}
	x, y, _ := strings.Cut(strings.TrimPrefix(semver.MajorMinor(v), "v"), ".")
	a, err1 := strconv.Atoi(x)
	b, err2 := strconv.Atoi(y)
	return minor{a, b}, err1 == nil && err2 == nil
}

// kubernetesMinors returns the Kubernetes minors that a lock can run, from its API servers, in order.
func kubernetesMinors(l *lock.Lock) []minor {
	return minorsOf(l, "kube-apiserver")
}

// minorsOf returns the series of all versions of an image, in order.
func minorsOf(l *lock.Lock, name string) []minor {
	var all []minor
	for _, img := range l.ByName(name) {
		if m, ok := minorOf(img.Version); ok {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, compareMinors)
	return slices.Compact(all)
}

func compareMinors(a, b minor) int {
	if a.major != b.major {
		return a.major - b.major
	}
	return a.minor - b.minor
}

// fits says whether an image may run with a Kubernetes minor; one that names no minors fits all.
func fits(img *lock.Image, m minor) bool {
	return len(img.Kubernetes) == 0 || slices.Contains(img.Kubernetes, m.String())
}

// full is an image's name with its version, as findings and acceptances name it.
func full(img *lock.Image) string { return img.Name + "@" + img.Version }

// list joins things for a sentence.
func list[T fmt.Stringer](all []T) string {
	var texts []string
	for _, one := range all {
		texts = append(texts, one.String())
	}
	return strings.Join(texts, ", ")
}
