package stages

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/ci/scan"
	"slipway.build/slipway/imagebuild/lock"
)

// database is where vulnerabilities are looked up.
func (c Config) database() string {
	if c.Database == "" {
		return scan.DefaultDatabase
	}
	return c.Database
}

// databaseState is the input that says which database, as of when; what cannot be reached is none,
// and the stage says so when it runs.
func (c Config) databaseState(ctx context.Context) (string, error) {
	db, err := scan.Open(ctx, c.database())
	if err != nil {
		if errors.Is(err, scan.ErrNoDatabase) {
			return "none", context.Cause(ctx)
		}
		return "", err
	}
	return db.URL + " of " + db.Modified.Format(time.RFC3339Nano), nil
}

// scan looks for known vulnerabilities in every program that is shipped. The day is an input: what was
// accepted expires.
func (c Config) scan() pipeline.Stage {
	return pipeline.Stage{
		Name: "scan", Title: "Look for known vulnerabilities in every program that is shipped", Version: 1, Deadline: time.Hour,
		Inputs: append(c.sources(scan.ToolModule, "ci/accepted.yaml"), pipeline.Output("programs", "bin"), pipeline.Output("images", "built"), pipeline.Output("images", "layout"),
			pipeline.Computed("database", c.databaseState), c.day()),
		Run: func(ctx context.Context, s *pipeline.Step) error {
			accepted, err := scan.ReadAccepted(c.in("ci", "accepted.yaml"))
			if err != nil {
				return err
			}
			db, err := scan.Open(ctx, c.database())
			if err != nil {
				return s.Unproven("not scanned: %v", err)
			}
			run := func(ctx context.Context, out io.Writer, name string, args ...string) error {
				return s.Command(ctx, pipeline.Command{Name: name, Args: args, Stdout: out, Env: []string{"GOFLAGS=", "GOWORK=off"}})
			}
			tool := filepath.Join(s.Scratch(), "govulncheck")
			s.Say("builds govulncheck %s", scan.Version)
			if err := scan.Build(ctx, run, c.in(scan.ToolModule), tool); err != nil {
				return s.Unproven("not scanned: %v", err)
			}
			fact := report.Scan{Database: *db, Scanner: "govulncheck " + scan.Version}
			found, components, err := c.scanAll(ctx, s, run, tool, db, &fact.Programs)
			if err != nil {
				return err
			}
			fact.Judgement = scan.Judge(found, accepted, components, c.Now())
			return errors.Join(s.Fact(report.ScanFact, fact), fact.Err())
		},
	}
}

// scanAll scans our own programs and those in images, and names the components.
func (c Config) scanAll(ctx context.Context, s *pipeline.Step, run scan.Runner, tool string, db *scan.Database, count *int) (found []scan.Finding, components []string, err error) {
	var ours []scan.Program
	for _, name := range programNames {
		ours = append(ours, scan.Program{Component: name, Path: filepath.Join(s.In("programs", "bin"), name)})
		components = append(components, name)
	}
	progress := func(_ int, name string) {
		*count++
		s.Progress("scans "+name, int64(*count), 0)
	}
	if found, err = scan.Scan(ctx, run, tool, db, ours, progress); err != nil {
		return nil, nil, err
	}
	l, err := lock.Load(s.In("images", "built"))
	if err != nil {
		return nil, nil, err
	}
	byImage := map[string][]scan.Finding{}
	err = members(ctx, l, s.In("images", "layout"), s.Scratch(), func(*lock.Image, *tar.Header) error { return nil }, func(m member) error {
		if ours, err := gateFile(m, l.Toolchain); err != nil || !ours {
			return err
		}
		component := m.image.Name + "@" + m.image.Version
		components = append(components, component)
		more, err := scan.Scan(ctx, run, tool, db, []scan.Program{{Component: component, Path: m.path}}, progress)
		byImage[component] = scan.Merge(byImage[component], more)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(components)
	components = slices.Compact(components)
	for _, name := range components {
		found = append(found, byImage[name]...)
	}
	return found, components, nil
}
