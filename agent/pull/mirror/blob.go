package mirror

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
)

// Blob reads one blob of a known size. When the connection breaks or stalls it goes on from the
// byte where it stopped, at another mirror if there is one, until its context ends. It returns
// io.EOF after exactly as many bytes as were asked for; a blob that is longer is a terminal error.
// Whether the bytes are right is for the caller to find out.
type Blob struct {
	set      *Set
	ctx      context.Context
	cancel   context.CancelFunc
	path     string
	size     int64 // of the whole blob
	end      int64 // read up to here
	progress func(int64)
	avoid    map[*mirror]bool
	solo     bool // stay with the mirror that answered first
	rounds   int  // give up after so many rounds without an answer; 0 for never

	waits   backoff.Backoff
	barren  int // connections in a row that brought nothing
	body    *guarded
	at      *mirror
	offset  int64
	counted int64 // told to progress
	opened  time.Time
	taken   int64 // from this connection
	served  []*mirror
	last    error // of the last try
}

var errLonger = errors.New("the blob is longer than its size in the signed lock")

// Range is a part of a blob: the bytes From, up to but without To, of Size.
type Range struct{ From, To, Size int64 }

func (s *Set) blob(ctx context.Context, path string, part Range, progress func(int64)) *Blob {
	ctx, cancel := context.WithCancel(ctx)
	return &Blob{set: s, ctx: ctx, cancel: cancel, path: path, size: part.Size, offset: part.From, end: part.To, progress: progress, waits: newBackoff()}
}

// Read implements io.Reader; its errors are faults.
func (b *Blob) Read(p []byte) (int, error) {
	for {
		if b.offset == b.end {
			return 0, b.finish()
		}
		if b.body == nil {
			if err := b.open(); err != nil {
				return 0, err
			}
		}
		p := p[:b.set.Pace.Piece(int(min(int64(len(p)), b.end-b.offset)))]
		n, err := b.body.Read(p)
		b.offset += int64(n)
		b.taken += int64(n)
		if n > 0 {
			b.waits.Reset()
			b.tell(int64(n))
			if err := b.set.Pace.Wait(b.ctx, int64(n)); err != nil {
				return n, fault.Retriablef("gave up at byte %d of %d: %w", b.offset, b.size, err)
			}
		}
		if err != nil && b.offset < b.end {
			b.broken(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (b *Blob) tell(n int64) {
	b.counted += n
	if b.progress != nil {
		b.progress(n)
	}
}

// open asks the mirrors in turn, with a pause after each round and when all only break.
func (b *Blob) open() error {
	for round := 1; ; round++ {
		if b.ctx.Err() != nil {
			return fault.Retriablef("gave up at byte %d of %d: %w", b.offset, b.size, context.Cause(b.ctx))
		}
		ranked := b.set.ranked(time.Now(), b.avoid)
		if b.solo && b.at != nil {
			ranked = []*mirror{b.at}
		}
		if len(ranked) == 0 {
			return fault.Terminalf("no registry to ask for %s", b.path)
		}
		if b.barren < len(ranked) {
			for _, m := range ranked {
				err := b.openAt(m)
				if err == nil || fault.IsTerminal(err) {
					return err
				}
				b.last = err
				b.set.failed(m, false)
			}
		}
		b.barren = 0
		if b.rounds > 0 && round >= b.rounds {
			return fault.Retriablef("gave up at byte %d of %d: %w", b.offset, b.size, b.last)
		}
		if err := b.waits.Wait(b.ctx); err != nil {
			return fault.Retriablef("gave up at byte %d of %d: %w (last: %w)", b.offset, b.size, err, b.last)
		}
	}
}

func (b *Blob) openAt(m *mirror) error {
	to := b.end
	if b.offset == 0 && b.end == b.size {
		to = 0 // all of it: no range
	}
	resp, err := b.set.get(b.ctx, m, b.path, b.offset, to, "")
	if err != nil {
		return err
	}
	whole := resp.StatusCode == http.StatusOK
	if whole && resp.ContentLength >= 0 && resp.ContentLength != b.size {
		_ = resp.Body.Close()
		b.at = m
		b.note()
		return fault.Terminalf("expected %d bytes by the signed lock, the registry offers %d", b.size, resp.ContentLength)
	}
	body := newGuarded(resp.Body, b.set.stall())
	if whole {
		if err := skip(body, b.offset); err != nil {
			body.close()
			return err
		}
	}
	b.body, b.at, b.opened, b.taken = body, m, time.Now(), 0
	b.note()
	return nil
}

// note remembers who has served something.
func (b *Blob) note() {
	if !slices.Contains(b.served, b.at) {
		b.served = append(b.served, b.at)
	}
}

// broken drops a connection that ended too early.
func (b *Blob) broken(cause error) {
	b.last = cause
	if b.barren++; b.taken > 0 {
		b.barren = 0
	}
	b.set.failed(b.at, false)
	b.drop()
}

// finish checks that a body that was to be read to its end ends there.
func (b *Blob) finish() error {
	if b.body == nil {
		return io.EOF
	}
	if b.set.Pace == nil {
		b.set.measured(b.at, b.taken, time.Since(b.opened))
	}
	var err error = io.EOF
	if b.end == b.size {
		var one [1]byte
		if n, _ := b.body.Read(one[:]); n > 0 {
			err = fault.Terminalf("%w (%d bytes)", errLonger, b.size)
		}
	}
	b.drop()
	return err
}

func (b *Blob) drop() {
	if b.body != nil {
		b.body.close()
		b.body = nil
	}
}

// Stop ends reading; it may be called beside a Read, which then fails soon.
func (b *Blob) Stop() { b.cancel() }

func (b *Blob) close() {
	b.cancel()
	b.drop()
}
