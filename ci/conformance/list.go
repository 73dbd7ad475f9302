package conformance

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/ci/conformance/programs"
)

// suiteNames asks e2e.test which tests the suite has: the list that upstream's certification is
// held against.
func suiteNames(ctx context.Context, p *Prepared) ([]string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Programs, programs.E2E), "-list-conformance-tests")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the conformance tests: %w", err)
	}
	return parseList(out)
}

func parseList(text []byte) ([]string, error) {
	var all []struct {
		Codename string `yaml:"codename"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&all); err != nil {
		return nil, fmt.Errorf("the list of conformance tests: %w", err)
	}
	var names []string
	for i, t := range all {
		name := strings.TrimSpace(t.Codename)
		if !strings.HasSuffix(name, "[Conformance]") {
			return nil, fmt.Errorf("the list of conformance tests: entry %d, %.200q, is no such test's name", i, name)
		}
		names = append(names, name)
	}
	return names, nil
}
