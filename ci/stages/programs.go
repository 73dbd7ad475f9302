package stages

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/buildcache"
)

// Programs are what `make build` makes.
var programNames = [...]string{"slipway", "slipway-agent", "slipway-exec", "slipway-image-verifier", "slipway-import", "slipwayd"}

// programs builds our own programs as `make build` does.
func (c Config) programs() pipeline.Stage {
	return pipeline.Stage{
		Name: "programs", Title: "Build slipway, slipwayd and what goes on nodes", Version: 2, Deadline: 20 * time.Minute,
		Inputs:  c.sources("Makefile", "agent", "ci", "cmd", "components", "controlplane", "go.mod", "go.sum", "imagebuild", "units"),
		Outputs: []string{"bin"},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			s.Say("make build")
			if err := os.MkdirAll(s.Out("bin"), 0o755); err != nil {
				return err
			}
			if err := s.Command(ctx, pipeline.Command{Dir: c.Root, Name: "make", Args: []string{"--no-print-directory", "build", "BIN=" + s.Out("bin")}}); err != nil {
				return err
			}
			var all []report.Artifact
			for _, name := range programNames {
				a, err := describe(filepath.Join(s.Out("bin"), name))
				if err != nil {
					return err
				}
				all = append(all, a)
			}
			return s.Fact(report.ArtifactsFact, all)
		},
	}
}

// describe says what a program of ours is.
func describe(path string) (report.Artifact, error) {
	a := report.Artifact{Kind: "program", Name: filepath.Base(path)}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return a, fmt.Errorf("%s: %w", a.Name, err)
	}
	a.Toolchain, a.Source = info.GoVersion, info.Path
	goos, arch := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			goos = s.Value
		case "GOARCH":
			arch = s.Value
		}
	}
	a.Platform = goos + "/" + arch
	a.Digest, a.Size, err = fileDigest(path)
	return a, err
}

// fileDigest is the sha256 of a file, with its prefix, and its size.
func fileDigest(path string) (string, int64, error) {
	sum, n, err := buildcache.Sum(path)
	return "sha256:" + sum, n, err
}
