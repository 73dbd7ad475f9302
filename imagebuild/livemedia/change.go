package livemedia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Target says where a changed image goes. The zero value replaces the image by a changed copy.
type Target struct {
	// Output is another file to write, which is replaced if it is there.
	Output string
	// InPlace overwrites the areas in the image itself, without a copy.
	InPlace bool
	// Progress, if set, is told how many of how many bytes have been copied.
	Progress func(done, total int64)
}

// patch is the new contents of a region.
type patch struct {
	Region
	data []byte
}

// change computes patches for the image and writes them. Another change of the same image at
// the same time fails; a change in place that was interrupted is undone first.
func change(ctx context.Context, iso string, to Target, compute func(*Media, *source) ([]patch, error)) error {
	if to.InPlace && to.Output != "" {
		return errors.New("either in place or into another file, not both")
	}
	iso, err := filepath.EvalSymlinks(iso)
	if err != nil {
		return fmt.Errorf("open the image: %w", err)
	}
	flags := os.O_RDONLY
	if _, err := os.Stat(journalOf(iso)); err == nil || to.InPlace {
		flags = os.O_RDWR
	}
	in, err := openLocked(iso, flags)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := recoverFrom(iso, in); err != nil {
		return err
	}
	m, err := Inspect(in, in.size)
	if err != nil {
		return err
	}
	patches, err := compute(m, in)
	if err != nil {
		return err
	}
	for _, p := range patches {
		if int64(len(p.data)) != p.Length {
			return fmt.Errorf("%w: %d bytes for %s", ErrTooBig, len(p.data), p.Region)
		}
	}
	check := func(f *os.File) error {
		if _, err := Inspect(f, in.size); err != nil {
			return fmt.Errorf("the changed image would no longer be a live image: %w", err)
		}
		return nil
	}
	if to.InPlace {
		return inPlace(iso, in, patches, check)
	}
	return copied(ctx, iso, in, patches, check, to)
}

// copied writes a changed copy beside its final name, checks it and renames it.
func copied(ctx context.Context, iso string, in *source, patches []patch, check func(*os.File) error, to Target) (err error) {
	final := to.Output
	if final == "" {
		final = iso
	}
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := temporary(final)
	if err != nil {
		return fmt.Errorf("write the changed image: %w", err)
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = os.Remove(out.Name())
		}
	}()
	if err := copyAll(ctx, out, in, to.Progress); err != nil {
		return fmt.Errorf("write the changed image: %w", err)
	}
	if err := write(out, patches); err != nil {
		return err
	}
	if err := check(out); err != nil {
		return err
	}
	if err := out.Chmod(st.Mode().Perm()); err != nil {
		return fmt.Errorf("write the changed image: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write the changed image: %w", err)
	}
	if err := os.Rename(out.Name(), final); err != nil {
		return fmt.Errorf("write the changed image: %w", err)
	}
	return syncDir(filepath.Dir(final))
}

// temporary makes the file that will become the final one. Its name is always the same, so that
// what a killed run left is overwritten, and it is locked.
func temporary(final string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".slipway-tmp")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = fmt.Errorf("%s is being written by another process: %w", name, err)
	} else {
		err = f.Truncate(0)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// step is how much is copied between two looks at the context.
const step = 64 << 20

// copyAll copies the image; the kernel does it, and file systems that can share the blocks.
func copyAll(ctx context.Context, out *os.File, in *source, progress func(done, total int64)) error {
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for done := int64(0); done < in.size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(out, in, min(step, in.size-done))
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", done+n, in.size, err)
		}
		done += n
		if progress != nil {
			progress(done, in.size)
		}
	}
	return nil
}

// write writes the patches to the disk and reads them back.
func write(f *os.File, patches []patch) error {
	for _, p := range patches {
		if _, err := f.WriteAt(p.data, p.Offset); err != nil {
			return fmt.Errorf("write %s: %w", p.Region, err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	for _, p := range patches {
		b, err := p.read(f)
		if err != nil {
			return err
		}
		if !bytes.Equal(b, p.data) {
			return fmt.Errorf("write %s: reading it back gives something else", p.Region)
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
