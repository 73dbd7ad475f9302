package harness

import (
	"os"
	"strings"
	"testing"
)

// mount is one line of /proc/self/mountinfo, as far as tests look at it.
type mount struct{ device, point, kind string }

func mounts(t *testing.T) []mount {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return parseMounts(string(b))
}

// parseMounts reads proc_pid_mountinfo(5).
func parseMounts(text string) []mount {
	var all []mount
	for l := range strings.Lines(text) {
		left, right, ok := strings.Cut(l, " - ")
		a, b := strings.Fields(left), strings.Fields(right)
		if ok && len(a) > 4 && len(b) > 0 {
			all = append(all, mount{device: a[2], point: a[4], kind: b[0]})
		}
	}
	return all
}

// hierarchies are where the hierarchies of cgroups are mounted, of v1, of v2 or of both; one
// that is mounted twice is named once.
func hierarchies(all []mount) []string {
	var points []string
	seen := map[string]bool{}
	for _, m := range all {
		if (m.kind == "cgroup" || m.kind == "cgroup2") && !seen[m.device] {
			seen[m.device] = true
			points = append(points, m.point)
		}
	}
	return points
}
