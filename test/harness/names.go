package harness

import "strings"

// product reports whether a name on the host is one that the product gives. Names that begin
// with "slipt" are those of the tests of single packages, which may run at the same time.
func product(name string) bool {
	return strings.HasPrefix(name, "slip") && !strings.HasPrefix(name, "slipt")
}

// ownGroup reports whether a cgroup, named by its path from the root of its hierarchy, is one
// that the product makes on the host or is inside of one: they are directly below the root or,
// where systemd is process 1, units in a slice. Whatever else is deeper belongs to who made
// the group around it: every node has units slipway-….service, those of other tests too.
func ownGroup(path string) bool {
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		if product(part) {
			return true
		}
		if !strings.HasSuffix(part, ".slice") {
			return false
		}
	}
	return false
}

// testStates is how the state directories of this harness' systems begin.
const testStates = "/var/lib/sliptest-"

// testState reports whether a path is in the state directory of a system of this harness.
func testState(path string) bool { return strings.HasPrefix(path, testStates) }

// testGroup reports whether a cgroup is one of a single package's test, or inside of one.
func testGroup(path string) bool { return strings.Contains(path, "/slipt") }

// below reports whether a path is dir or below it.
func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// ownMount reports whether the product mounts something there on the host.
func (s *System) ownMount(point string) bool {
	if below(point, s.State) {
		return true
	}
	for _, dir := range []string{"/var/lib/", "/run/", "/run/netns/"} {
		if rest, ok := strings.CutPrefix(point, dir); ok {
			if name, _, _ := strings.Cut(rest, "/"); product(name) {
				return true
			}
		}
	}
	return false
}

// argument returns what follows a flag on a command line, in either of its two forms.
func argument(argv []string, flag string) (value string, ok bool) {
	for i, a := range argv {
		if a == flag && i+1 < len(argv) {
			return argv[i+1], true
		}
		if value, ok := strings.CutPrefix(a, flag+"="); ok {
			return value, true
		}
	}
	return "", false
}
