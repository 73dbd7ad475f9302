package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
)

// refusedRounds is how often mirrors that only fail are asked again when another one has already
// served wrong bytes.
const refusedRounds = 3

// Object reads a whole object of at most limit bytes whose sha256 digest is known. A mirror that
// serves other bytes is passed over while there are others; when none is left the error is
// terminal and names both digests. Mirrors that fail are asked again until ctx ends.
func (s *Set) Object(ctx context.Context, path, digest string, limit int64, accept string) ([]byte, error) {
	return s.object(ctx, path, digest, limit, accept, false)
}

// Optional is Object for one that need not exist: when every mirror that answers says so, the
// error is ErrNotFound.
func (s *Set) Optional(ctx context.Context, path, digest string, limit int64, accept string) ([]byte, error) {
	return s.object(ctx, path, digest, limit, accept, true)
}

func (s *Set) object(ctx context.Context, path, digest string, limit int64, accept string, optional bool) ([]byte, error) {
	waits := newBackoff()
	wrong := map[*mirror]bool{}
	var refused, failed error
	for round := 0; ; round++ {
		failed = nil
		missing := true
		for _, m := range s.ranked(time.Now(), wrong) {
			raw, err := s.small(ctx, m, path, digest, limit, accept)
			switch {
			case err == nil:
				return raw, nil
			case fault.IsTerminal(err):
				wrong[m], refused = true, err
				s.failed(m, true)
			case errors.Is(err, ErrNotFound):
				failed = err // what is not there says nothing about the rest
			default:
				failed, missing = err, false
				s.failed(m, false)
			}
		}
		switch {
		case refused != nil && (failed == nil || round == refusedRounds):
			return nil, refused
		case failed == nil:
			return nil, fault.Terminalf("no registry to ask for %s", path)
		case optional && missing && refused == nil:
			return nil, ErrNotFound
		}
		if err := waits.Wait(ctx); err != nil {
			if refused != nil {
				return nil, refused
			}
			return nil, fault.Retriablef("gave up: %w (last: %w)", err, failed)
		}
	}
}

func (s *Set) small(ctx context.Context, m *mirror, path, digest string, limit int64, accept string) ([]byte, error) {
	resp, err := s.get(ctx, m, path, 0, 0, accept)
	if err != nil {
		return nil, err
	}
	body := newGuarded(resp.Body, s.stall())
	defer body.close()
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, fault.Retriablef("GET %s: %w", path, err)
	}
	if int64(len(raw)) > limit {
		return nil, fault.Terminalf("expected digest %s, found more than %d bytes", digest, limit)
	}
	if err := s.Pace.Wait(ctx, int64(len(raw))); err != nil {
		return nil, fault.Retriablef("GET %s: %w", path, err)
	}
	sum := sha256.Sum256(raw)
	if found := "sha256:" + hex.EncodeToString(sum[:]); found != digest {
		return nil, fault.Terminalf("expected digest %s, found %s", digest, found)
	}
	return raw, nil
}

func newBackoff() backoff.Backoff {
	return backoff.Backoff{First: 50 * time.Millisecond, Max: 5 * time.Second}
}
