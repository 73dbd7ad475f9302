package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/lock"
)

// Verifier holds what this node believes.
type Verifier struct {
	Node     string             // UUID of this node
	PlanKeys []protocol.PlanKey // learnt at join
	TrustDir string             // *.pub hold the PEM keys that sign locks
	Baked    string             // directory with images.yaml and images.yaml.sig, used when no lock was delivered
}

// Checked is a plan of which everything that can be known beforehand is verified.
type Checked struct {
	Plan   *plan.Plan
	Digest string // of the plan
	Lock   *lock.Lock
	// Platforms are the lock's entries for this machine, by image name, for each image of the plan.
	Platforms map[string]*lock.Platform
}

// Platform is the lock's name of the platform that this agent runs on, such as "linux/amd64".
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Check verifies a delivery. Refusals are terminal and say what was expected and what was found.
func (v *Verifier) Check(ctx context.Context, delivery protocol.Delivery) (*Checked, error) {
	p, digest, err := plan.Open(ctx, delivery.Envelope, v.PlanKeys)
	if err != nil {
		return nil, err
	}
	checked := &Checked{Plan: p, Digest: digest, Platforms: map[string]*lock.Platform{}}
	if p.Node.ID != v.Node {
		return checked, fault.Terminalf("plan %d is for node %s, this is node %s", p.Generation, p.Node.ID, v.Node)
	}
	if checked.Lock, err = v.lock(delivery, p.Lock); err != nil {
		return checked, err
	}
	for _, image := range p.Images {
		platform, err := find(checked.Lock, image)
		if err != nil {
			return checked, err
		}
		checked.Platforms[image.Name] = platform
	}
	return checked, binaries(checked)
}

func (v *Verifier) lock(delivery protocol.Delivery, want string) (*lock.Lock, error) {
	trusted, err := v.lockKeys()
	if err != nil {
		return nil, err
	}
	raw, signature, origin := delivery.LockBytes, delivery.LockSignature, "the lock delivered with the plan"
	if len(raw) == 0 {
		origin = "the lock baked into the OS layer"
		if raw, err = os.ReadFile(filepath.Join(v.Baked, "images.yaml")); err != nil {
			return nil, fault.Terminalf("no lock came with the plan, and none is baked in: %w", err)
		}
		if signature, err = os.ReadFile(filepath.Join(v.Baked, "images.yaml.sig")); err != nil {
			return nil, fault.Terminalf("the baked lock has no signature: %w", err)
		}
	}
	verified, err := lock.Verify(raw, signature, trusted)
	if err != nil {
		return nil, fault.Terminalf("%s is refused: %w", origin, err)
	}
	found, err := verified.Digest()
	if err != nil {
		return nil, fault.Terminalf("%s: %w", origin, err)
	}
	if found != want {
		return nil, fault.Terminalf("%s has digest %s, the plan wants %s", origin, found, want)
	}
	return verified, nil
}

func (v *Verifier) lockKeys() ([]byte, error) {
	entries, err := os.ReadDir(v.TrustDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the trusted lock keys: %w", err)
	}
	var keys []byte
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".pub" {
			continue
		}
		key, err := os.ReadFile(filepath.Join(v.TrustDir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the trusted lock keys: %w", err)
		}
		keys = append(append(keys, key...), '\n')
	}
	if len(keys) == 0 {
		return nil, fault.Terminalf("no trusted lock key in %s: the OS layer has none, so no image may run", v.TrustDir)
	}
	return keys, nil
}

func find(l *lock.Lock, image plan.Image) (*lock.Platform, error) {
	entry, ok := l.ByName(image.Name)
	if !ok {
		return nil, fault.Terminalf("image %s: not in the signed lock", image.Name)
	}
	if entry.Unresolved != "" {
		return nil, fault.Terminalf("image %s: unresolved in the signed lock (%s), so it never runs", image.Name, entry.Unresolved)
	}
	platform, ok := entry.For(Platform())
	if !ok {
		return nil, fault.Terminalf("image %s: the signed lock has no entry for %s", image.Name, Platform())
	}
	if platform.Manifest != image.Digest {
		return nil, fault.Terminalf("image %s: expected manifest %s by the signed lock, found %s in the plan", image.Name, platform.Manifest, image.Digest)
	}
	return platform, nil
}

func binaries(checked *Checked) error {
	if agent := checked.Plan.Agent; agent != nil {
		if _, ok := checked.Platforms[agent.Image].File(agent.Binary); !ok {
			return fault.Terminalf("agent: image %s has no file %s by the signed lock", agent.Image, agent.Binary)
		}
		if imported(checked.Plan, agent.Image) {
			return fault.Terminalf("agent: image %s is imported for pods", agent.Image)
		}
	}
	for _, unit := range checked.Plan.Units {
		if unit.Exec == nil {
			continue
		}
		if _, ok := checked.Platforms[unit.Exec.Image].File(unit.Exec.Binary); !ok {
			return fault.Terminalf("unit %s: image %s has no file %s by the signed lock", unit.Name, unit.Exec.Image, unit.Exec.Binary)
		}
		if imported(checked.Plan, unit.Exec.Image) {
			return fault.Terminalf("unit %s: image %s is imported for pods and has no unit of its own", unit.Name, unit.Exec.Image)
		}
	}
	return nil
}

func imported(p *plan.Plan, name string) bool {
	return slices.ContainsFunc(p.Images, func(i plan.Image) bool { return i.Name == name && i.Import != "" })
}
