package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/protocol"
)

const (
	// maxFile bounds a delivery in a file, as the node API bounds its answers.
	maxFile = 32 << 20
	// settle is the least time between two readings: a writer that writes in many pieces, or
	// somebody who touches the file all the time, costs no more than that.
	settle = 20 * time.Millisecond
	// look is how often the file is looked at without an event, for file systems that tell of no
	// change that another machine made.
	look = time.Minute
)

// File follows a delivery (protocol.Delivery as JSON) in a local file, for nodes without a
// control plane. Whatever changes what the path leads to delivers anew: a rename over it, a
// rewrite in place, a symbolic link or directory on the way that leads elsewhere or appears
// later. A file that cannot be used, or is gone, is reported and waited for; what runs goes on.
type File struct {
	Path string
	Log  *slog.Logger

	last    [sha256.Size]byte // of what was delivered
	watch   *watch
	problem string // that was logged last
}

// Next returns the file's delivery, at once the first time, then after each change of content. It
// returns an error only when ctx ends or nothing can be watched at all.
func (s *File) Next(ctx context.Context) (protocol.Delivery, error) {
	for {
		// Before the file is read: what changes from now on is seen.
		if err := s.rearm(); err != nil {
			return protocol.Delivery{}, err
		}
		delivery, sum, err := read(s.Path)
		if err == nil && sum != s.last {
			s.last, s.problem = sum, ""
			return delivery, nil
		}
		s.report(err)
		if err := s.watch.wait(ctx); err != nil {
			return protocol.Delivery{}, err
		}
	}
}

// Close ends the watch.
func (s *File) Close() error {
	if s.watch == nil {
		return nil
	}
	return s.watch.close()
}

func (s *File) rearm() error {
	if s.watch != nil {
		_ = s.watch.close()
	}
	var err error
	if s.watch, err = newWatch(s.Path); err != nil {
		return fmt.Errorf("watch %s: %w", s.Path, err)
	}
	return nil
}

// report logs a problem once, not at every event.
func (s *File) report(err error) {
	switch {
	case err == nil:
		s.problem = ""
	case err.Error() != s.problem:
		s.problem = err.Error()
		s.Log.Warn("the plan file cannot be used; what runs goes on", "path", s.Path, "error", err)
	}
}

// read reads a delivery. It never waits for anything but a disk: a fifo has no content, and a
// device no end.
func read(path string) (protocol.Delivery, [sha256.Size]byte, error) {
	var delivery protocol.Delivery
	var sum [sha256.Size]byte
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return delivery, sum, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return delivery, sum, err
	}
	if !info.Mode().IsRegular() {
		return delivery, sum, fmt.Errorf("%s is no regular file (%s)", path, info.Mode().Type())
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return delivery, sum, err
	}
	if len(raw) > maxFile {
		return delivery, sum, fmt.Errorf("%s has more than the limit of %d bytes", path, maxFile)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&delivery); err != nil {
		return protocol.Delivery{}, sum, fmt.Errorf("%s is no delivery (yet): %w", filepath.Base(path), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return protocol.Delivery{}, sum, fmt.Errorf("%s has something after its end", path)
	}
	if len(delivery.Envelope) == 0 {
		return protocol.Delivery{}, sum, fmt.Errorf("%s has no envelope", path)
	}
	return delivery, sha256.Sum256(raw), nil
}
