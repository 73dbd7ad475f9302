package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// podman is Debian's podman with a store of its own.
type podman struct{ dir string }

func (p *podman) name() string { return "podman" }

func (p *podman) does() string {
	return "fetch, sha256 of every blob, unpack into overlay, diff IDs, tar-split; files not synced"
}

func (p *podman) pulls(scenario) bool { return true }

func (p *podman) prepare(_ context.Context, dir string) error {
	p.dir = dir
	return os.MkdirAll(dir, 0o755)
}

func (p *podman) store() []string {
	return []string{"--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"), "--tmpdir", filepath.Join(p.dir, "tmp"), "--storage-driver", "overlay", "--events-backend", "none"}
}

func (p *podman) pull(ctx context.Context, addr string, images []*image) (sample, error) {
	args := append(p.store(), "pull", "--quiet", "--tls-verify=false", images[0].reference(addr))
	s, _, err := command(ctx, "podman", args...)
	return s, err
}

func (p *podman) check(img *image) error {
	return globbed(filepath.Join(p.dir, "root", "overlay", "*", "diff"), img)
}

// clean needs no daemon to end; containers/storage may have left its home mounted on itself.
func (p *podman) clean() error { return unmountBelow(p.dir) }

// skopeo is Debian's skopeo, which copies images without unpacking them.
type skopeo struct {
	dir        string
	decompress bool
}

func (s *skopeo) name() string {
	if s.decompress {
		return "skopeo -d"
	}
	return "skopeo"
}

func (s *skopeo) does() string {
	if s.decompress {
		return "fetch, sha256 of every blob, decompress, sha256 again, keep the tar streams; no files, not synced"
	}
	return "fetch, sha256 of every blob, keep the blobs as they are; nothing decompressed, no files, not synced"
}

// An upgrade needs a store that knows what it has; a directory does not.
func (s *skopeo) pulls(sc scenario) bool { return len(sc.theirs.before) == 0 }

func (s *skopeo) prepare(_ context.Context, dir string) error {
	s.dir = dir
	return os.MkdirAll(dir, 0o755)
}

func (s *skopeo) pull(ctx context.Context, addr string, images []*image) (sample, error) {
	args := []string{"--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"}
	if s.decompress {
		args = append(args, "--dest-decompress")
	}
	args = append(args, "docker://"+images[0].reference(addr), "dir:"+filepath.Join(s.dir, "copy"))
	m, _, err := command(ctx, "skopeo", args...)
	return m, err
}

func (s *skopeo) check(img *image) error {
	for _, l := range img.Locked.Layers {
		name := l.Digest
		if s.decompress {
			name = l.DiffID
		}
		if _, err := os.Stat(filepath.Join(s.dir, "copy", strings.TrimPrefix(name, "sha256:"))); err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	return nil
}

func (s *skopeo) clean() error { return nil }
