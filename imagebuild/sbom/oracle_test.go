package sbom

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/test/oracles"
)

// TestUpstreamReadsTheDocuments asks SPDX's and CycloneDX's own libraries, CycloneDX's schema and
// the package URL parser: they find no fault, and the package URLs of everything that is in.
func TestUpstreamReadsTheDocuments(t *testing.T) {
	program := oracles.Program(t, "documents")
	schema := filepath.Join(oracles.ModuleDir(t, "documents", "github.com/CycloneDX/cyclonedx-go"), "schema")
	img, p, dir := sample(t)
	inv := read(t, img, p, dir)
	var want []string
	for _, m := range append(inv.Modules(), standardLibrary(inv.Toolchains()[0])) {
		want = append(want, m.PURL())
	}
	for _, d := range inv.Debian {
		want = append(want, PackageURL(d))
	}
	docs := documents(t, inv)
	ask := func(t *testing.T, name, content string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return oracles.Ask(t, program, "-"+name, file, "-schema", schema)
	}
	for name, doc := range docs {
		t.Run(name, func(t *testing.T) {
			got := "\n" + ask(t, name, string(doc)) + "\n"
			for _, url := range want {
				if !strings.Contains(got, "\n"+url+"\n") {
					t.Errorf("no %s in%s", url, got)
				}
			}
		})
	}
	// The oracle can refuse: what follows is wrong, and it says so.
	for name, change := range map[string][3]string{
		"spdx":      {"SPDXRef-Image\"", "SPDXRef-Other\"", "refused:"},
		"cyclonedx": {`"type": "container"`, `"type": "contraption"`, "refused: jsonschema validation failed"},
	} {
		t.Run(name+" that is wrong", func(t *testing.T) {
			bad := strings.Replace(string(docs[name]), change[0], change[1], 1)
			if got := ask(t, name, bad); !strings.HasPrefix(got, change[2]) {
				t.Errorf("got %s", got)
			}
		})
	}
}
