package run

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// RefusedError says that something that was to run is not what the signed lock names.
type RefusedError struct {
	Unit, Image, Path string
	Expected, Found   string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s of image %s is refused: expected %s, found %s; nothing was started (run `slipway-agent verify`, the image will be fetched again once it is removed from the store)",
		e.Path, e.Image, e.Expected, e.Found)
}

// LostStateError says that a component's data were there once and are gone.
type LostStateError struct{ Unit, Sentinel string }

func (e *LostStateError) Error() string {
	return fmt.Sprintf("%s is missing, though %s was healthy with it before: it is not started, because it would begin anew under an old name; bring the data back, or have the control plane replace this member",
		e.Sentinel, e.Unit)
}

// openVerified opens a file, compares its size and sha256, and returns it still open.
func openVerified(spec *Spec, path, sum string, size int64) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		_ = file.Close()
		return nil, &RefusedError{spec.Unit, spec.Image, path, fmt.Sprintf("a file of %d bytes", size), fmt.Sprintf("%s of %d bytes", info.Mode().Type(), info.Size())}
	}
	hash := sha256.New()
	// The hash reads in pieces of this size; a small buffer keeps this process small.
	if _, err := io.CopyBuffer(struct{ io.Writer }{hash}, struct{ io.Reader }{file}, make([]byte, 128<<10)); err != nil {
		_ = file.Close()
		return nil, err
	}
	if found := hex.EncodeToString(hash.Sum(nil)); found != sum {
		_ = file.Close()
		return nil, &RefusedError{spec.Unit, spec.Image, path, "sha256 " + sum, "sha256 " + found}
	}
	return file, nil
}

// verify checks tools and state, and returns the binary open. inRoot says that the process sees
// the component's root.
func verify(spec *Spec, inRoot bool) (*os.File, error) {
	if spec.State != nil && spec.Filled {
		sentinel := filepath.Join(spec.State.Dir, spec.State.Sentinel)
		if _, err := os.Lstat(sentinel); err != nil {
			if os.IsNotExist(err) {
				return nil, &LostStateError{spec.Unit, sentinel}
			}
			return nil, fmt.Errorf("look for the state of %s: %w", spec.Unit, err)
		}
	}
	for _, tool := range spec.Tools {
		file, err := openVerified(spec, tool.Path, tool.SHA256, tool.Size)
		if err != nil {
			return nil, fmt.Errorf("tool of %s: %w", spec.Unit, err)
		}
		_ = file.Close()
	}
	path := spec.Binary
	if inRoot {
		path = spec.Path
	}
	return openVerified(spec, path, spec.SHA256, spec.Size)
}
