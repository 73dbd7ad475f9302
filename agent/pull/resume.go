package pull

import (
	"context"
	"errors"
	"io"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
)

// resumingReader reads one blob of a known size. When the connection breaks it goes on from the
// byte where it stopped, first at the same registry and then at the others in turn, until the
// context ends. It returns io.EOF after exactly size bytes; one byte more is an error.
type resumingReader struct {
	ctx        context.Context
	registries []registry
	path       string
	size       int64
	progress   func(int64)
	waits      backoff.Backoff

	body   *guardedReader
	offset int64
	turn   int
}

var errLonger = errors.New("the blob is longer than its size in the signed lock")

func (r *resumingReader) Read(p []byte) (int, error) {
	for {
		if r.offset == r.size {
			return 0, r.end()
		}
		if r.body == nil {
			if err := r.open(); err != nil {
				return 0, err
			}
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.size-r.offset)])
		r.offset += int64(n)
		if n > 0 {
			r.waits.Reset()
			if r.progress != nil {
				r.progress(int64(n))
			}
		}
		if err != nil && r.offset < r.size {
			r.drop()
			if n == 0 {
				if err := r.pause(err); err != nil {
					return 0, err
				}
				continue
			}
		}
		if n > 0 {
			return n, nil
		}
	}
}

// end checks that the body ends where the lock says.
func (r *resumingReader) end() error {
	if r.body == nil {
		return io.EOF
	}
	var one [1]byte
	n, _ := r.body.Read(one[:])
	r.drop()
	if n > 0 {
		return fault.Terminalf("%w (%d bytes)", errLonger, r.size)
	}
	return io.EOF
}

func (r *resumingReader) open() error {
	for {
		resp, err := r.registries[r.turn%len(r.registries)].get(r.ctx, r.path, r.offset, "")
		if err == nil {
			if offered := resp.ContentLength; r.offset == 0 && offered >= 0 && offered != r.size {
				_ = resp.Body.Close()
				return fault.Terminalf("expected %d bytes by the signed lock, the registry offers %d", r.size, offered)
			}
			r.body = &guardedReader{body: resp.Body}
			return nil
		}
		if fault.IsTerminal(err) {
			return err
		}
		r.turn++
		if err := r.pause(err); err != nil {
			return err
		}
	}
}

func (r *resumingReader) pause(cause error) error {
	// The first try at another registry costs nothing.
	if r.turn > 0 && r.turn < len(r.registries) {
		return nil
	}
	if err := r.waits.Wait(r.ctx); err != nil {
		return fault.Retriablef("gave up at byte %d of %d: %w (last: %w)", r.offset, r.size, err, cause)
	}
	return nil
}

func (r *resumingReader) drop() {
	if r.body != nil {
		r.body.close()
		r.body = nil
	}
}

func newBackoff() backoff.Backoff {
	return backoff.Backoff{First: 50 * time.Millisecond, Max: 5 * time.Second}
}
