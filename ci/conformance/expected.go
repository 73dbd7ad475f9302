package conformance

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ExpectedFailure is a conformance test that cannot pass before something else is built.
type ExpectedFailure struct {
	Name string `yaml:"name"`
	// Until names what has to be there for it to pass: "calico" or "addons".
	Until  string `yaml:"until"`
	Reason string `yaml:"reason"`
}

//go:embed expected.yaml
var expectedText []byte

//go:embed focus.txt
var focusText string

// Tests is how many conformance tests a minor version of Kubernetes has, at the patch whose
// module is built: the entries of its test/conformance/testdata/conformance.yaml.
func Tests(version string) (int, error) {
	counts := map[string]int{"v1.36.3": 446}
	n, ok := counts[version]
	if !ok {
		return 0, fmt.Errorf("it is not known how many conformance tests Kubernetes %s has", version)
	}
	return n, nil
}

// ExpectedFailures are the failures that are expected with the pod network and addons of today.
func ExpectedFailures() ([]ExpectedFailure, error) { return parseExpected(expectedText) }

func parseExpected(text []byte) ([]ExpectedFailure, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var all struct {
		Failures []ExpectedFailure `yaml:"failures"`
	}
	if err := dec.Decode(&all); err != nil {
		return nil, fmt.Errorf("expected.yaml: %w", err)
	}
	seen := map[string]bool{}
	for i, f := range all.Failures {
		at := fmt.Sprintf("expected.yaml: failures[%d]", i)
		switch {
		case !strings.Contains(f.Name, "[Conformance]"):
			return nil, fmt.Errorf("%s: name %.200q is no conformance test's", at, f.Name)
		case seen[f.Name]:
			return nil, fmt.Errorf("%s: %s is there twice", at, f.Name)
		case f.Until != "calico" && f.Until != "addons":
			return nil, fmt.Errorf("%s: until %.50q is neither calico nor addons: nothing else may be waited for", at, f.Until)
		case strings.TrimSpace(f.Reason) == "":
			return nil, fmt.Errorf("%s: no reason", at)
		}
		seen[f.Name] = true
	}
	return all.Failures, nil
}

// FocusTests are the names of the tests of a bounded run: one or two of every kind that the
// product itself can break.
func FocusTests() ([]string, error) { return parseFocus(focusText) }

func parseFocus(text string) ([]string, error) {
	var names []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !strings.Contains(line, "[Conformance]") {
			return nil, fmt.Errorf("focus.txt:%d: %.200q is no conformance test's name", n, line)
		}
		names = append(names, line)
	}
	if len(names) == 0 {
		return nil, errors.New("focus.txt names no test")
	}
	return names, nil
}
