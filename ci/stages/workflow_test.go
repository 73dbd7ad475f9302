package stages

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// commands collects the shell lines of a workflow, wherever they stand in it.
func commands(node *yaml.Node, key string, into *[]string) {
	switch node.Kind {
	case yaml.ScalarNode:
		if key == "run" || key == "script" {
			*into = append(*into, strings.Split(strings.TrimSpace(node.Value), "\n")...)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			commands(node.Content[i+1], node.Content[i].Value, into)
		}
	default:
		for _, n := range node.Content {
			commands(n, key, into)
		}
	}
}

func TestWorkflowsRunTheSameCommandAsEverybody(t *testing.T) {
	pinned := regexp.MustCompile(`uses:\s*\S+@[0-9a-f]{40}(\s|$)`)
	for _, file := range []string{"../../.github/workflows/ci.yml", "../../.gitlab-ci.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var lines []string
		commands(&doc, "", &lines)
		all := "\n" + strings.Join(lines, "\n") + "\n"
		deps, run := strings.Index(all, "\nmake deps\n"), strings.Index(all, "\nmake ci CI_ARGS=--strict\n")
		if deps < 0 || run < deps {
			t.Errorf("%s does not run make deps and then make ci: %q", file, lines)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "uses:") && !pinned.MatchString(line) {
				t.Errorf("%s: %s is not pinned by a commit", file, strings.TrimSpace(line))
			}
		}
	}
	if text, err := os.ReadFile("../../Makefile"); err != nil || !strings.Contains(string(text), "\nci: deps build ") {
		t.Errorf("the Makefile has no ci: %v", err)
	}
}
