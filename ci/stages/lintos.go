package stages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/lint"
)

// lintOS makes the OS layer of this run's agent, lock and key, and holds it against every rule.
func (c Config) lintOS() pipeline.Stage {
	return pipeline.Stage{
		Name: "lint-os", Title: "Make the node OS layer and lint it", Version: 1, Deadline: 10 * time.Minute,
		Inputs: append(c.sources("imagebuild/osimage"), pipeline.Output("programs", "bin"), pipeline.Output("lock", "lock"),
			pipeline.Output("sign", "signature"), pipeline.Output("sign", "trusted")),
		Outputs: []string{"layer"},
		Run: func(_ context.Context, s *pipeline.Step) error {
			contents, err := osContents(s)
			if err != nil {
				return err
			}
			layer, err := osimage.New(contents)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(s.Out("layer"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
			if err != nil {
				return err
			}
			defer f.Close()
			size, err := layer.WriteTo(f)
			if err != nil {
				return err
			}
			if _, err := f.Seek(0, 0); err != nil {
				return err
			}
			read, err := lint.ReadTar(f, 0)
			if err != nil {
				return err
			}
			artifact := report.Artifact{Kind: "os", Name: "node OS layer", Platform: "linux/" + layer.Architecture(), Source: "components' lock " + layer.Components(), Digest: layer.DiffID(), Size: size}
			return errors.Join(s.Fact(report.ArtifactsFact, []report.Artifact{artifact}), lintLayer(s, read))
		},
	}
}

// lintLayer applies all rules; warnings are told.
func lintLayer(s *pipeline.Step, l lint.Layer) error {
	found := lint.Run(&lint.Subject{Layers: []lint.Layer{l}})
	checks := []report.Check{{What: "rules for OS layers looked at", Detail: fmt.Sprint(len(lint.Rules()))}}
	var problems []error
	for _, f := range found {
		text := fmt.Sprintf("%s: %s: %s; %s", f.Rule, f.Path, f.Happens, f.Do)
		if f.Severity == lint.Error {
			problems = append(problems, errors.New(text))
		} else {
			checks = append(checks, report.Check{What: "warning: " + text})
		}
	}
	return errors.Join(s.Fact(report.ChecksFact, checks), errors.Join(problems...))
}

// osContents are this run's programs, lock and keys.
func osContents(s *pipeline.Step) (osimage.Contents, error) {
	bin := s.In("programs", "bin")
	c := osimage.Contents{Agent: filepath.Join(bin, "slipway-agent"), ImportTool: filepath.Join(bin, "slipway-import"), Exec: filepath.Join(bin, "slipway-exec"),
		Verifier: filepath.Join(bin, "slipway-image-verifier")}
	for path, into := range map[string]*[]byte{s.In("lock", "lock"): &c.Lock, s.In("sign", "signature"): &c.LockSignature, s.In("sign", "trusted"): &c.TrustKeys} {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, err
		}
		*into = text
	}
	return c, nil
}
