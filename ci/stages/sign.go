package stages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/sign"
	"slipway.build/slipway/imagebuild/trust"
)

// key returns the key that signs, and what kind it is.
func (c Config) key() (*sign.Key, string, error) {
	if c.Key != "" {
		k, err := sign.ReadKey(c.Key)
		return k, "release", err
	}
	k, err := sign.LocalKey(c.Keys)
	return k, "local", err
}

// keyID is the input that says which key signs. A local key is made here, if it was not before.
func (c Config) keyID(context.Context) (string, error) {
	k, kind, err := c.key()
	if err != nil {
		return "", err
	}
	return kind + " " + k.ID(), nil
}

// sign signs the lock, and proves the layout against it as a node would.
func (c Config) sign() pipeline.Stage {
	return pipeline.Stage{
		Name: "sign", Title: "Sign the lock, and prove every blob against it", Version: 1, Deadline: 15 * time.Minute, Needs: []string{"gate"},
		Inputs:  []pipeline.Input{pipeline.Output("lock", "lock"), pipeline.Output("images", "layout"), pipeline.Computed("key", c.keyID)},
		Outputs: []string{"signature", "trusted"},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			key, kind, err := c.key()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(s.In("lock", "lock"))
			if err != nil {
				return err
			}
			signature, err := key.Sign(text)
			if err != nil {
				return err
			}
			trusted, err := key.PublicPEM()
			if err != nil {
				return err
			}
			signed, err := trust.VerifyLock(text, signature, trusted)
			if err != nil {
				return err
			}
			s.Say("signed lock %d, %s, with the %s key %s", signed.Number, signed.Digest, kind, signed.Key)
			if err := prove(ctx, s, signed); err != nil {
				return err
			}
			if err := renameio.WriteFile(s.Out("signature"), signature, 0o644); err != nil {
				return err
			}
			if err := renameio.WriteFile(s.Out("trusted"), trusted, 0o644); err != nil {
				return err
			}
			return s.Fact(report.SignatureFact, report.Signature{Lock: signed.Digest, Number: signed.Number, Key: signed.Key, Kind: kind})
		},
	}
}

// prove holds every blob of the layout against the signed lock.
func prove(ctx context.Context, s *pipeline.Step, signed *trust.Signed) error {
	content, err := layout.Open(s.In("images", "layout"))
	if err != nil {
		return err
	}
	defer content.Close()
	r, err := trust.Verify(ctx, content, signed, trust.Options{})
	if err != nil {
		return err
	}
	var problems []error
	for _, f := range r.Findings {
		problems = append(problems, errors.New(f.String()))
	}
	if len(problems) > 0 {
		return fmt.Errorf("the layout is not what the lock says: %w", errors.Join(problems...))
	}
	return s.Fact(report.ChecksFact, []report.Check{
		{What: "images proved whole against the signed lock", Detail: fmt.Sprint(r.Images)},
		{What: "blobs hashed", Detail: fmt.Sprintf("%d, %.1f MiB", r.Blobs, float64(r.Bytes)/(1<<20))},
		{What: "files in layers hashed", Detail: fmt.Sprint(r.Files)},
	})
}
