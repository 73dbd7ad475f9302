package stages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
)

// lintLock holds the signed lock against every rule of package release. The day is an input: support
// ends, and so does what was accepted.
func (c Config) lintLock() pipeline.Stage {
	inputs := append(c.sources("imagebuild/release", "imagebuild/lock"), pipeline.Output("lock", "lock"),
		pipeline.Output("sign", "signature"), pipeline.Output("sign", "trusted"), c.day())
	if c.From != "" {
		inputs = append(inputs, pipeline.Path("from", c.From))
	}
	return pipeline.Stage{
		Name: "lint-lock", Title: "Hold images.yaml against every rule of locks", Version: 1, Deadline: 5 * time.Minute, Inputs: inputs,
		Run: func(_ context.Context, s *pipeline.Step) error {
			subject := release.Subject{Now: c.Now()}
			text, err := os.ReadFile(s.In("lock", "lock"))
			if err != nil {
				return err
			}
			if subject.Lock, err = lock.Parse("images.yaml", text); err != nil {
				return err
			}
			subject.Signature = release.ReadSignature(text, s.In("sign", "signature"), s.In("sign", "trusted"))
			if c.From != "" {
				if subject.From, err = lock.Load(c.From); err != nil {
					return fmt.Errorf("the lock that clusters are on: %w", err)
				}
			}
			return judgeLock(s, subject)
		},
	}
}

// judgeLock checks a lock, keeps what was found, and fails on what is not accepted.
func judgeLock(s *pipeline.Step, subject release.Subject) error {
	found, err := release.Check(subject)
	if err != nil {
		return err
	}
	fact := report.Lock{Report: *found}
	if subject.From != nil {
		fact.From = subject.From.Number
	}
	for _, f := range found.Findings {
		fmt.Fprintln(s.Log(), f)
	}
	for _, f := range found.Accepted {
		fmt.Fprintln(s.Log(), "accepted:", f)
	}
	return errors.Join(s.Fact(report.LockFact, fact), fact.Err())
}
