package templates

import (
	"embed"
	"fmt"
	"io/fs"
)

// Cluster is the template of a cluster; the others are nested in it.
const Cluster = "kubecluster.yaml"

//go:embed *.yaml
var files embed.FS

// Files returns the texts of the built-in templates by name.
func Files() (map[string]string, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list built-in templates: %w", err)
	}
	out := make(map[string]string, len(names))
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read built-in template: %w", err)
		}
		out[name] = string(b)
	}
	return out, nil
}
