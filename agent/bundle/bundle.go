package bundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"slipway.build/slipway/agent/redact"
)

// Part is one file of the archive.
type Part struct {
	Name string // relative path in the archive
	How  string // how it is made, in words or as a command line
	// Make writes the part. It must honour ctx; what it wrote before an error is kept.
	Make func(ctx context.Context, w io.Writer) error
}

// Source is what the archive is made of.
type Source interface {
	// Parts returns the parts in the order in which they are made.
	Parts(ctx context.Context) []Part
	// Secrets returns literals that must not be in the archive, in addition to what package
	// redact knows by its form.
	Secrets() []string
}

// Bounds of an archive. MaxTotal is before compression.
const (
	MaxPart  = 1 << 20
	MaxTotal = 24 << 20
	// partTime bounds the making of one part, totalTime that of all of them.
	partTime  = 15 * time.Second
	totalTime = 2 * time.Minute
)

// ManifestName is the archive's last file.
const ManifestName = "manifest.json"

// Manifest says what is in an archive.
type Manifest struct {
	Schema string    `json:"schema"`
	Made   time.Time `json:"made"`
	Parts  []Made    `json:"parts"`
}

// Made is one part as it was made.
type Made struct {
	Name   string `json:"name"`
	How    string `json:"how"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // hex, of the bytes in the archive
	// Cut is set when the part was longer than MaxPart, or not made because the archive was full.
	Cut bool `json:"cut,omitempty"`
	// Error says why a part is missing or incomplete.
	Error string `json:"error,omitempty"`
	Took  string `json:"took"`
}

// schema of the manifest.
const schema = "slipway.build/bundle/v1"

// Write writes the archive of a node. The error is about w or ctx; what a part lacks is in the
// manifest.
func Write(ctx context.Context, n Source, w io.Writer) error {
	began := time.Now()
	packed := gzip.NewWriter(w)
	a := &archive{tar: tar.NewWriter(packed), began: began, secrets: n.Secrets()}
	bounded, cancel := context.WithTimeoutCause(ctx, totalTime, fmt.Errorf("the archive took more than %s", totalTime))
	defer cancel()
	manifest := Manifest{Schema: schema, Made: began.UTC()}
	for _, part := range n.Parts(bounded) {
		made, err := a.part(bounded, part)
		if err != nil {
			return fmt.Errorf("write the archive: %s: %w", part.Name, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("write the archive: %w", context.Cause(ctx))
		}
		manifest.Parts = append(manifest.Parts, made)
	}
	raw, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	if err := errors.Join(a.file(ManifestName, append(raw, '\n')), a.tar.Close(), packed.Close()); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

type archive struct {
	tar     *tar.Writer
	began   time.Time
	secrets []string
	total   int
}

// part makes one part and adds it.
func (a *archive) part(ctx context.Context, part Part) (Made, error) {
	began := time.Now()
	made := Made{Name: part.Name, How: part.How}
	buffer := &limited{limit: min(MaxPart, MaxTotal-a.total)}
	err := context.Cause(ctx)
	if buffer.limit > 0 && err == nil {
		err = makePart(ctx, part, buffer)
	}
	text := []byte(redact.Text(strings.ToValidUTF8(string(buffer.bytes), "?"), a.secrets...))
	a.total += len(text)
	sum := sha256.Sum256(text)
	made.Bytes, made.SHA256 = len(text), hex.EncodeToString(sum[:])
	made.Cut = buffer.cut || buffer.limit <= 0
	made.Took = time.Since(began).Round(time.Millisecond).String()
	if err != nil {
		made.Error = redact.Text(err.Error(), a.secrets...)
	}
	if len(text) == 0 {
		return made, nil
	}
	return made, a.file(part.Name, text)
}

// makePart bounds the making and turns a panic into an error: an archive is asked for when
// something is wrong already.
func makePart(ctx context.Context, part Part, w io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, partTime, fmt.Errorf("it took more than %s", partTime))
	defer cancel()
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("it could not be made: %v", broken)
		}
	}()
	return part.Make(ctx, w)
}

func (a *archive) file(name string, content []byte) error {
	err := a.tar.WriteHeader(&tar.Header{
		Name: path.Join("slipway-bundle", path.Clean("/"+name)), Mode: 0o644, Size: int64(len(content)),
		Typeflag: tar.TypeReg, ModTime: a.began,
	})
	if err != nil {
		return err
	}
	_, err = a.tar.Write(content)
	return err
}

// limited keeps the first bytes that are written to it and swallows the others.
type limited struct {
	bytes []byte
	limit int
	cut   bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := l.limit - len(l.bytes)
	if len(p) > room {
		l.cut = true
		l.bytes = append(l.bytes, p[:max(room, 0)]...)
		return len(p), nil
	}
	l.bytes = append(l.bytes, p...)
	return len(p), nil
}
