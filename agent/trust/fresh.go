package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// Accepted are the highest numbers that this node has accepted.
type Accepted struct {
	Plan uint64 // generation
	Lock uint64
}

// Fresh decides whether a checked plan may be newly applied: its generation is above the highest
// that was accepted, its lock is not older than the highest accepted and the baked one, and neither
// has expired. Resuming what was accepted does not ask. Refusals are terminal.
func (v *Verifier) Fresh(checked *Checked, accepted Accepted) error {
	p := checked.Plan
	if p.Generation <= accepted.Plan {
		return fault.Terminalf("plan %d is older than generation %d, which this node knows already: expected a number above %d, found %d",
			p.Generation, accepted.Plan, accepted.Plan, p.Generation)
	}
	floor, err := v.baked()
	if err != nil {
		return err
	}
	number := uint64(checked.Lock.Number) // above zero by Validate
	for _, least := range []struct {
		number uint64
		what   string
	}{{accepted.Lock, "the newest that this node has accepted"}, {uint64(floor.number), "the one baked into the OS layer"}} {
		if number < least.number {
			return fault.Terminalf("lock number %d is older than %s: expected number %d or above, found %d", number, least.what, least.number, number)
		}
	}
	now := later(v.now(), floor.issued)
	for _, end := range []struct {
		what string
		time time.Time
		hint string
	}{
		{fmt.Sprintf("plan %d", p.Generation), p.Expires, "publish it anew"},
		{fmt.Sprintf("lock number %d", number), checked.Lock.ExpiresAt(), "issue it anew with `slipway images lock --renew`"},
	} {
		if !now.Before(end.time) {
			return fault.Terminalf("%s has expired: expected to be applied before %s, the node's clock says %s; %s, or set the clock right",
				end.what, end.time.Format(time.RFC3339), now.UTC().Format(time.RFC3339), end.hint)
		}
	}
	return nil
}

// ClockBehind reports whether the node's clock is surely wrong, with a sentence that says why: it is
// before the baked lock was issued. Until it is set right, that time counts instead.
func (v *Verifier) ClockBehind() (string, bool) {
	floor, err := v.baked()
	now := v.now()
	if err != nil || !now.Before(floor.issued) {
		return "", false
	}
	return fmt.Sprintf("the clock says %s, but the lock in this OS layer was issued at %s: set the clock (is chronyd or systemd-timesyncd reaching a server?)",
		now.UTC().Format(time.RFC3339), floor.issued.Format(time.RFC3339)), true
}

// Floor returns when the baked lock was issued: a time that is surely over, zero without one.
func (v *Verifier) Floor() time.Time {
	floor, _ := v.baked() // what cannot be read is told where a lock is judged by it
	return floor.issued
}

// floor is what the baked lock says about numbers and time; zero when none is baked in.
type floor struct {
	number int64
	issued time.Time
}

// baked reads the floor. The OS layer is read-only and was verified when it was built, so its lock
// sets bounds without a signature; to run images, Check verifies it like any other.
func (v *Verifier) baked() (floor, error) {
	v.bakedOnce.Do(func() {
		path := filepath.Join(v.Baked, "images.yaml")
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			v.bakedErr = fmt.Errorf("read the baked lock: %w", err)
			return
		}
		l, err := lock.Parse(path, raw)
		if err == nil {
			err = l.Validate()
		}
		if err != nil {
			v.bakedErr = fault.Terminalf("the baked lock, below which no lock is accepted: %w", err)
			return
		}
		v.bakedFloor = floor{number: l.Number, issued: l.IssuedAt()}
	})
	return v.bakedFloor, v.bakedErr
}

func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
