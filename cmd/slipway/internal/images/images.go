// Package images builds the component images with progress, holds them against the committed
// lock, and signs and publishes what a cluster may run into the state directory.
package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
	"slipway.build/slipway/imagebuild/sign"
)

// Build builds the named images (all when names is empty) from the build modules in sources,
// through the cache, and reports each image as a task.
func Build(ctx context.Context, report progress.Reporter, sources string, names ...string) ([]component.Built, error) {
	return BuildWith(ctx, report, component.Options{Sources: sources, Names: names})
}

// BuildWith is Build with every option; Progress is set here.
func BuildWith(ctx context.Context, report progress.Reporter, o component.Options) ([]component.Built, error) {
	total := &overall{report: report}
	o.Progress = func(e component.Event) {
		show(report, e)
		total.show(e)
	}
	built, err := component.Build(ctx, o)
	total.end(err)
	return built, err
}

// overall is the line that says how far all images are, once there is more than a handful to wait for.
type overall struct {
	report progress.Reporter
	last   component.Event
	shown  bool
}

func (o *overall) show(e component.Event) {
	o.last = e
	if e.Total < 2 || e.Phase == component.Queued || e.Remaining < 10*time.Second && !o.shown {
		return
	}
	o.shown = true
	o.report.Report(o.update(progress.Running))
}

func (o *overall) update(state progress.State) progress.Update {
	u := progress.Update{Task: "images", Label: "all images", State: state, Done: int64(o.last.Done), Total: int64(o.last.Total)}
	if state == progress.Running {
		u.Detail = "about " + roughly(o.last.Remaining) + " left"
	}
	return u
}

func (o *overall) end(err error) {
	switch {
	case !o.shown:
	case err != nil:
		o.report.Report(o.update(progress.Failed))
	default:
		o.report.Report(o.update(progress.Done))
	}
}

// roughly rounds an estimate to what can be believed of it.
func roughly(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", int(d.Round(10*time.Second).Seconds()))
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
}

func show(report progress.Reporter, e component.Event) {
	id := e.Image + " " + e.Version
	if e.Platform != component.HostPlatform() {
		id += " " + e.Platform
	}
	u := progress.Update{Task: "image/" + id, Label: "image " + id, State: progress.Running}
	switch e.Phase {
	case component.Queued:
		return // it would only fill the screen
	case component.Waiting:
		u.Detail = "another process builds it"
	case component.Building:
		u.Detail = "compiles"
		if e.Packages > 0 {
			u.Detail, u.Done = "packages compiled", int64(e.Packages)
		}
		if e.Detail != "" && e.Packages == 0 {
			u.Detail = e.Detail
		}
	case component.Packing:
		u.Detail = "packs"
	case component.Packed:
		u.State, u.Done, u.Unit = progress.Done, e.Bytes, progress.Bytes
	case component.Cached:
		u.State, u.Done, u.Unit, u.Detail = progress.Skipped, e.Bytes, progress.Bytes, "in the cache"
	case component.Failed:
		u.State = progress.Failed
		if e.Err != nil {
			u.Detail = e.Err.Error()
		}
	}
	report.Report(u)
}

// Check holds built images against the lock in the file committed. The error names every
// input and output that differs. A lock that does not exist yet is an error with the remedy.
func Check(committed string, built []component.Built) (*lock.Lock, error) {
	want, err := lock.Load(committed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist; `slipway images lock` makes it", committed)
	}
	if err != nil {
		return nil, err
	}
	if built, err = component.Adopt(want, built); err != nil {
		return nil, err
	}
	got, err := component.Compute(built)
	if err != nil {
		return nil, err
	}
	release.Keep(want, got)
	// The committed one, which differs in what issued it and in what is not built here.
	return want, component.Check(component.Part(want, built), got)
}

// Complete returns the lock of built images: of all that there are, or of those that options name, and then of the
// others as the lock in the file committed has them.
func Complete(committed string, built []component.Built, o component.Options) (*lock.Lock, error) {
	if len(o.Names) == 0 {
		return component.Compute(built)
	}
	before, err := lock.Load(committed)
	if err != nil {
		return nil, fmt.Errorf("the lock that the other images are taken from: %w", err)
	}
	return component.Complete(before, built, o)
}

// Issue gives a computed lock the number and validity of the lock in the file committed when both
// say the same and renew is false, else the next number, from now on.
func Issue(committed string, l *lock.Lock, now time.Time, life time.Duration, renew bool) error {
	text, err := os.ReadFile(committed)
	if errors.Is(err, fs.ErrNotExist) {
		component.Issue(nil, l, now, life)
		return l.Validate()
	}
	if err != nil {
		return fmt.Errorf("read the lock of before: %w", err)
	}
	before, err := lock.Parse(committed, text)
	if err != nil {
		return fmt.Errorf("the lock of before, whose number counts on: %w", err)
	}
	release.Keep(before, l)
	component.Issue(before, l, now, life)
	if renew {
		l.Issue(before.Number+1, now, life)
	}
	return l.Validate()
}

// Paths are where the images, the lock and its key are in a state directory.
type Paths struct{ State string }

// Registry is the OCI layout that the registry serves.
func (p Paths) Registry() string { return filepath.Join(p.State, "registry") }

// Keys is the directory of the local key that signs the lock.
func (p Paths) Keys() string { return filepath.Join(p.State, "control", "keys") }

// PublicKey is the local key's public half.
func (p Paths) PublicKey() string { return filepath.Join(p.Keys(), sign.LocalPublicFile) }

// Lock is the signed lock, in its canonical bytes as they go to the nodes.
func (p Paths) Lock() string { return filepath.Join(p.State, "control", "lock", "images.yaml") }

// Signature is the detached signature of Lock.
func (p Paths) Signature() string { return p.Lock() + ".sig" }

// Publish writes built images into the layout that the registry serves, and the lock l with
// the local key's signature beside it. The signature is verified as a node would before it
// is written. Publish is idempotent; it returns the lock's digest and the id of the key.
func Publish(p Paths, built []component.Built, l *lock.Lock) (digest, keyID string, err error) {
	if built, err = component.Adopt(l, built); err != nil {
		return "", "", err
	}
	if err := component.WriteLayout(p.Registry(), built); err != nil {
		return "", "", err
	}
	key, err := sign.LocalKey(p.Keys())
	if err != nil {
		return "", "", err
	}
	text, err := l.YAML(component.Header)
	if err != nil {
		return "", "", fmt.Errorf("write the lock: %w", err)
	}
	signature, err := key.Sign(text)
	if err != nil {
		return "", "", err
	}
	trusted, err := key.PublicPEM()
	if err != nil {
		return "", "", err
	}
	if _, err := lock.Verify(text, signature, trusted); err != nil {
		return "", "", fmt.Errorf("the signature that was just made: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(p.Lock()), 0o755); err != nil {
		return "", "", fmt.Errorf("write the signed lock: %w", err)
	}
	// A node that sees a new lock with the old signature refuses it, so the order does not
	// matter for safety; a run that is killed between the two is repaired by the next.
	if err := writeChanged(p.Signature(), signature); err != nil {
		return "", "", fmt.Errorf("write the lock's signature: %w", err)
	}
	if err := writeChanged(p.Lock(), text); err != nil {
		return "", "", fmt.Errorf("write the signed lock: %w", err)
	}
	digest, err = l.Digest()
	return digest, key.ID(), err
}

// writeChanged replaces a file in one step, unless it holds contents already: a slipwayd that
// has read it is told apart from one that has not by the time of the last change.
func writeChanged(name string, contents []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, contents) {
		return nil
	}
	return renameio.WriteFile(name, contents, 0o644)
}
