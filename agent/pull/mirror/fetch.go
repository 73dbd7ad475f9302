package mirror

import (
	"context"

	"slipway.build/slipway/agent/fault"
)

// Fetch has use read a part of a blob. A terminal error of use means that the bytes were wrong:
// the mirror that served them is passed over and use is called again with another one's, as long
// as there are any; the last such error is returned. Where several mirrors had a share in wrong
// bytes each of them is asked alone. Other errors are returned as they are. progress, when not
// nil, is called with the number of bytes read, and with a negative one to take back what was
// wrong. use must not keep the Blob.
func (s *Set) Fetch(ctx context.Context, path string, part Range, progress func(int64), use func(*Blob) error) error {
	wrong := map[*mirror]bool{}
	var refused error
	solo := false
	for {
		b := s.blob(ctx, path, part, progress)
		b.avoid, b.solo = wrong, solo
		if refused != nil {
			b.rounds = refusedRounds
		}
		err := use(b)
		b.close()
		if err == nil {
			return nil
		}
		b.tell(-b.counted)
		switch {
		case fault.IsTerminal(err):
			refused = err
			if len(b.served) > 1 {
				solo = true
				continue
			}
			if len(b.served) == 1 {
				s.failed(b.at, true)
			}
		case refused == nil || ctx.Err() != nil || fault.KindOf(err) != fault.Retriable:
			return err
		}
		// Wrong, or not to be had while others are: go on without it.
		if b.at == nil {
			return refused
		}
		wrong[b.at] = true
		if len(wrong) == len(s.mirrors) {
			return refused
		}
	}
}
