package act

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// Uploader delivers the archive of an action; the node API's client does. Repeating is safe.
type Uploader interface {
	Archive(ctx context.Context, action string, size int64, content io.Reader) error
}

// Bundle collects the support archive into a file and delivers it.
type Bundle struct {
	// Collect writes the archive.
	Collect func(ctx context.Context, w io.Writer) error
	Upload  Uploader
	Dir     string // for the file, while it is on its way
}

// Do implements Doer.
func (d *Bundle) Do(ctx context.Context, job Job) (outcome Outcome, err error) {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return Outcome{}, fmt.Errorf("keep the archive: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(d.Dir, job.Request.ID), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return Outcome{}, fmt.Errorf("keep the archive: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	sum := sha256.New()
	written := &bounded{to: io.MultiWriter(file, sum), left: protocol.MaxArchive}
	if err := d.Collect(ctx, written); err != nil {
		return Outcome{}, err
	}
	size := protocol.MaxArchive - written.left
	var waits backoff.Backoff
	if err := waits.Retry(ctx, func(ctx context.Context) error {
		return d.Upload.Archive(ctx, job.Request.ID, size, io.NewSectionReader(file, 0, size))
	}); err != nil {
		return Outcome{}, fmt.Errorf("deliver the archive of %d bytes: %w", size, err)
	}
	return Outcome{Results: []protocol.ActionResult{{
		Name: "archive", Status: protocol.ResultOK,
		Message: fmt.Sprintf("%d bytes, sha256 %s", size, hex.EncodeToString(sum.Sum(nil))),
	}}}, nil
}

// bounded refuses what exceeds the largest archive.
type bounded struct {
	to   io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, fault.Terminalf("the archive is larger than %d bytes", protocol.MaxArchive)
	}
	n, err := b.to.Write(p)
	b.left -= int64(n)
	return n, err
}

// SweepBundles removes the archives that an agent which was killed left. Call it before Run.
func SweepBundles(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove left archives: %w", err)
	}
	return nil
}
