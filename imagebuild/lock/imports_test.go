package lock

import (
	"os/exec"
	"strings"
	"testing"
)

// The agent links this package: it must stay a leaf.
func TestImportsStayLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"slipway.build/slipway/imagebuild/lock", "slipway.build/slipway/agent/fault",
		"github.com/opencontainers/go-digest", "go.yaml.in/yaml/v3",
	}
	for _, path := range strings.Fields(string(out)) {
		ok := false
		for _, a := range allowed {
			ok = ok || path == a
		}
		if !ok {
			t.Errorf("imports %s", path)
		}
	}
}
