package scan

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// Version is the version of govulncheck, which the Makefile pins, too.
const Version = "v1.9.0"

// ToolModule is the directory of the module that govulncheck is built from, in a clone of the
// repository: its go.sum pins everything that goes into the scanner.
const ToolModule = "ci/scan/govulncheck"

// Build builds govulncheck from its module, in dir, to the file to.
func Build(ctx context.Context, run Runner, dir, to string) error {
	err := run(ctx, io.Discard, "go", "-C", dir, "build", "-mod=readonly", "-trimpath", "-o", to, "golang.org/x/vuln/cmd/govulncheck")
	if err != nil {
		return fmt.Errorf("build govulncheck: %w", err)
	}
	return nil
}

// Program is one binary to scan.
type Program struct {
	Component string // what it is a part of: an image or a program of ours
	Path      string
}

// Runner runs a program with arguments, its standard output goes to the writer.
type Runner func(ctx context.Context, out io.Writer, name string, args ...string) error

// Scan scans programs with govulncheck, a program file. Findings are sorted: what is linked first.
// An error says that something was not scanned.
func Scan(ctx context.Context, run Runner, govulncheck string, db *Database, programs []Program, progress func(done int, name string)) ([]Finding, error) {
	all := []Finding{}
	for i, p := range programs {
		progress(i, p.Component)
		var out bytes.Buffer
		// In JSON it ends with 0 whatever it has found.
		if err := run(ctx, &out, govulncheck, "-mode", "binary", "-format", "json", "-db", db.URL, p.Path); err != nil {
			return nil, fmt.Errorf("scan %s: %w", p.Component, err)
		}
		found, err := parse(p.Component, &out)
		if err != nil {
			return nil, fmt.Errorf("scan %s: %w", p.Component, err)
		}
		all = Merge(all, found)
	}
	sortFindings(all)
	return all, nil
}

// Merge joins findings of several programs of one component.
func Merge(all, found []Finding) []Finding {
	for _, f := range found {
		known := false
		for i := range all {
			o := &all[i]
			if o.ID == f.ID && o.Component == f.Component && o.Module == f.Module {
				known = true
				if f.Level.weight() > o.Level.weight() {
					o.Level = f.Level
				}
				for _, s := range f.Symbols {
					o.Symbols = insert(o.Symbols, s)
				}
			}
		}
		if !known {
			all = append(all, f)
		}
	}
	return all
}
