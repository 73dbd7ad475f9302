package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/trust"
)

// Subject says what is proved against which lock and whose key.
type Subject struct {
	// Layout is an OCI layout's directory or archive; empty for the published one.
	Layout string
	// Lock and Signature are files; empty for what the layout carries, or else for the published ones. The
	// signature lies beside the lock by default.
	Lock, Signature string
	// Number is the number of the lock to take from a registry; 0 for none.
	Number int64
	// Keys is a file with trusted public keys; empty for the local one.
	Keys string
	// KeyID believes a key that the layout carries, if it has this id.
	KeyID string
	// Platforms and Complete are those of trust.Options.
	Platforms []string
	Complete  bool
}

// Verify proves a layout against its signed lock, as trust.Verify does, with progress. A report that is not proved
// comes without an error.
func Verify(ctx context.Context, p Paths, s Subject, report progress.Reporter) (*trust.Report, *trust.Signed, error) {
	published := s.Layout == ""
	if published {
		s.Layout = p.Registry()
	}
	content, err := layout.Open(s.Layout)
	if errors.Is(err, fs.ErrNotExist) && published {
		return nil, nil, fmt.Errorf("%w; `slipway up` makes the published layout, or name another one", err)
	}
	if err != nil {
		return nil, nil, err
	}
	defer content.Close()
	signed, err := SignedLock(p, s, content)
	if err != nil {
		return nil, nil, err
	}
	systems, err := CarriedOS(p, s, content)
	if err != nil {
		return nil, nil, err
	}
	named := map[string]string{}
	for _, o := range systems {
		if o.Derived != "" {
			named["os "+o.Name+" "+o.Platform] = o.Derived
		}
	}
	var done, total atomic.Int64
	show := func(state progress.State) {
		report.Report(progress.Update{Task: "verify", Label: "verify " + s.Layout, State: state, Done: done.Load(), Total: total.Load(), Unit: progress.Bytes})
	}
	found, err := trust.Verify(ctx, content, signed, trust.Options{
		Platforms: s.Platforms, Complete: s.Complete, Others: published, OS: named,
		Total:    func(n int64) { total.Store(n); show(progress.Running) },
		Progress: func(n int64) { done.Add(n); show(progress.Running) },
	})
	if err == nil && found.Proved() {
		show(progress.Done)
	} else {
		show(progress.Failed)
	}
	return found, signed, err
}

// SignedLock returns the lock of a subject, verified.
func SignedLock(p Paths, s Subject, content *layout.Layout) (*trust.Signed, error) {
	carried, err := FindLock(s, content)
	if err != nil {
		return nil, err
	}
	return signedLock(p, s, carried)
}

// FindLock returns the lock that a layout carries, if that is the one that counts; content may be nil.
func FindLock(s Subject, content *layout.Layout) (*trust.Carried, error) {
	if content == nil {
		return nil, nil
	}
	carried, err := trust.FindLock(content)
	if err != nil && s.Lock == "" {
		return nil, err
	}
	return carried, nil
}

func signedLock(p Paths, s Subject, carried *trust.Carried) (*trust.Signed, error) {
	text, signature, where, err := lockText(p, s, carried)
	if err != nil {
		return nil, err
	}
	keys, err := keysText(p, s, carried)
	if err != nil {
		return nil, err
	}
	signed, err := trust.VerifyLock(text, signature, keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return signed, nil
}

func lockText(p Paths, s Subject, carried *trust.Carried) (text, signature []byte, where string, err error) {
	if s.Lock == "" && carried != nil {
		return carried.Lock, carried.Signature, "the lock that the images came with", nil
	}
	if s.Lock == "" {
		s.Lock, s.Signature = p.Lock(), p.Signature()
	}
	if s.Signature == "" {
		s.Signature = s.Lock + ".sig"
	}
	if text, err = os.ReadFile(s.Lock); err != nil {
		return nil, nil, "", fmt.Errorf("read the signed lock: %w; `slipway up` makes it, and --lock names another", err)
	}
	if signature, err = os.ReadFile(s.Signature); err != nil {
		return nil, nil, "", fmt.Errorf("read the lock's signature: %w", err)
	}
	return text, signature, s.Lock, nil
}

// keysText returns the keys that count. Those that a layout carries count only by their id: anybody can put
// a key beside what it has signed.
func keysText(p Paths, s Subject, carried *trust.Carried) ([]byte, error) {
	has := carried != nil && carried.Keys != nil
	if s.KeyID != "" {
		if !has {
			return nil, errors.New("--key-id is for a key that the layout carries, and it carries none; give the key with --key")
		}
		return trust.ByID(carried.Keys, s.KeyID)
	}
	file := s.Keys
	if file == "" {
		file = p.PublicKey()
	}
	keys, err := os.ReadFile(file)
	if err == nil {
		return keys, nil
	}
	hint := "give the trusted key with --key"
	if has && s.Keys == "" {
		if came, err := lock.PublicKeys(carried.Keys); err == nil {
			hint += fmt.Sprintf(", or compare this id with one that you trust and repeat with --key-id %s", lock.KeyID(came[0]))
		}
	}
	return nil, fmt.Errorf("read the trusted keys: %w; %s", err, hint)
}
