package trust

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/lock"
)

// Verifier holds what this node believes.
type Verifier struct {
	Node string // UUID of this node
	// PlanKeys returns the keys that plans may be signed with: learnt at join, and since then by
	// signed statements.
	PlanKeys func() []protocol.PlanKey
	TrustDir string // *.pub hold the PEM keys that sign locks
	Baked    string // directory with images.yaml and images.yaml.sig, used when no lock was delivered
	// LockKeys is the file with the newest statement of lock keys; "" for none.
	LockKeys string
	Now      func() time.Time // time.Now when nil

	bakedOnce  sync.Once
	bakedFloor floor
	bakedErr   error
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

// Check verifies a delivery but for its numbers and its validity, which Fresh does. Refusals are
// terminal and say what was expected and what was found.
func (v *Verifier) Check(ctx context.Context, delivery protocol.Delivery) (*Checked, error) {
	p, digest, err := plan.Open(ctx, delivery.Envelope, v.PlanKeys())
	if err != nil {
		return nil, err
	}
	return v.check(p, digest, func() (*lock.Lock, error) { return v.VerifyLock(delivery, p.Lock) })
}

// Recheck is Check for a plan with the digest of one that this node has accepted before. Everything
// hangs together by digests from there, so it holds whichever keys were dropped and whatever has
// expired since: what was begun can be brought to its end.
func (v *Verifier) Recheck(delivery protocol.Delivery, digest string) (*Checked, error) {
	p, err := plan.OpenAccepted(delivery.Envelope, digest)
	if err != nil {
		return nil, err
	}
	return v.check(p, digest, func() (*lock.Lock, error) { return v.acceptedLock(delivery, p.Lock) })
}

func (v *Verifier) check(p *plan.Plan, digest string, locked func() (*lock.Lock, error)) (*Checked, error) {
	checked := &Checked{Plan: p, Digest: digest, Platforms: map[string]*lock.Platform{}}
	if p.Node.ID != v.Node {
		return checked, fault.Terminalf("plan %d is for node %s, this is node %s", p.Generation, p.Node.ID, v.Node)
	}
	var err error
	if checked.Lock, err = locked(); err != nil {
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

// VerifyLock verifies the lock of a delivery, or the baked one when it brings none: its signature,
// and that it has the digest that is wanted. Refusals are terminal.
func (v *Verifier) VerifyLock(delivery protocol.Delivery, want string) (*lock.Lock, error) {
	trusted, err := v.lockTrust()
	if err != nil {
		return nil, err
	}
	raw, signature, origin, err := v.lockBytes(delivery)
	if err != nil {
		return nil, err
	}
	verified, err := trusted.Verify(raw, signature)
	if err != nil {
		return nil, fault.Terminalf("%s is refused: %w", origin, err)
	}
	if err := sameDigest(verified, origin, want); err != nil {
		return nil, err
	}
	return verified, nil
}

// acceptedLock returns the lock of a delivery whose plan was accepted: the plan names its digest.
func (v *Verifier) acceptedLock(delivery protocol.Delivery, want string) (*lock.Lock, error) {
	raw, _, origin, err := v.lockBytes(delivery)
	if err != nil {
		return nil, err
	}
	l, err := lock.Parse("lock", raw)
	if err == nil {
		err = l.Validate()
	}
	if err != nil {
		return nil, fault.Terminalf("%s: %w", origin, err)
	}
	return l, sameDigest(l, origin, want)
}

// lockBytes returns the lock of a delivery, or the baked one when it brings none, and where it is
// from.
func (v *Verifier) lockBytes(delivery protocol.Delivery) (raw, signature []byte, origin string, err error) {
	if len(delivery.LockBytes) > 0 {
		return delivery.LockBytes, delivery.LockSignature, "the lock delivered with the plan", nil
	}
	if raw, err = os.ReadFile(filepath.Join(v.Baked, "images.yaml")); err != nil {
		return nil, nil, "", fault.Terminalf("no lock came with the plan, and none is baked in: %w", err)
	}
	if signature, err = os.ReadFile(filepath.Join(v.Baked, "images.yaml.sig")); err != nil {
		return nil, nil, "", fault.Terminalf("the baked lock has no signature: %w", err)
	}
	return raw, signature, "the lock baked into the OS layer", nil
}

func sameDigest(l *lock.Lock, origin, want string) error {
	found, err := l.Digest()
	if err != nil {
		return fault.Terminalf("%s: %w", origin, err)
	}
	if found != want {
		return fault.Terminalf("%s has digest %s, the plan wants %s", origin, found, want)
	}
	return nil
}

// find returns the platform of the image's version that has the digest of the plan; there may be several
// versions of one name.
func find(l *lock.Lock, image plan.Image) (*lock.Platform, error) {
	refusal := fault.Terminalf("image %s: not in the signed lock", image.Name)
	var expected []string
	for _, entry := range l.ByName(image.Name) {
		if entry.Unresolved != "" {
			refusal = fault.Terminalf("image %s: unresolved in the signed lock (%s), so it never runs", image.Name, entry.Unresolved)
			continue
		}
		platform, ok := entry.For(Platform())
		if !ok {
			refusal = fault.Terminalf("image %s: the signed lock has no entry for %s", image.Name, Platform())
			continue
		}
		if platform.Manifest == image.Digest {
			return platform, nil
		}
		expected = append(expected, platform.Manifest)
	}
	if len(expected) > 0 {
		refusal = fault.Terminalf("image %s: expected manifest %s by the signed lock, found %s in the plan", image.Name, strings.Join(expected, " or "), image.Digest)
	}
	return nil, refusal
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
