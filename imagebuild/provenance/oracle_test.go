package provenance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/test/oracles"
)

// TestUpstreamReadsTheStatement asks in-toto's own types, which refuse unknown fields and check
// what in-toto and SLSA require.
func TestUpstreamReadsTheStatement(t *testing.T) {
	program := oracles.Program(t, "documents")
	ask := func(statement []byte) string {
		file := filepath.Join(t.TempDir(), "statement.json")
		if err := os.WriteFile(file, statement, 0o644); err != nil {
			t.Fatal(err)
		}
		return oracles.Ask(t, program, "-statement", file)
	}
	got := ask(made(t))
	if !strings.Contains(got, "pkg:golang/example.com/small@v1.2.3") || strings.Contains(got, "refused") {
		t.Errorf("got %s", got)
	}
	bad := bytes.Replace(made(t), []byte(`"buildType":"`+BuildType+`",`), nil, 1)
	if got := ask(bad); !strings.HasPrefix(got, "refused: provenance.buildDefinition error: buildDefinition.buildType required") {
		t.Errorf("without a build type: %s", got)
	}
}
