package testbase

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Commit makes an ostree repository with one commit of a small operating system tree, by the ostree program. It
// returns the commit.
func Commit(ctx context.Context, repo string) (string, error) {
	var data bytes.Buffer
	tw := tar.NewWriter(&data)
	for _, f := range system {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.text)), ModTime: time.Unix(0, 0)}
		if f.dir {
			h.Typeflag, h.Name = tar.TypeDir, f.name+"/"
		}
		if err := tw.WriteHeader(h); err != nil {
			return "", err
		}
		if _, err := tw.Write([]byte(f.text)); err != nil {
			return "", err
		}
	}
	if err := tw.Close(); err != nil {
		return "", err
	}
	if _, err := ostree(ctx, nil, "--repo="+repo, "init", "--mode=bare-user"); err != nil {
		return "", err
	}
	return ostree(ctx, &data, "--repo="+repo, "commit", "--branch=base", "--no-bindings", "--timestamp=@0", "--tree=tar=-", "--tar-autocreate-parents")
}

func ostree(ctx context.Context, in io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "ostree", args...)
	cmd.Stdin = in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ostree %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// Encapsulated makes an image of the older form of Fedora CoreOS from a repository that Commit has made: the commit
// and its metadata in the first layer, its files, as objects of the repository, in a second one.
func Encapsulated(repo, commit, architecture string) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var last v1.Hash
	for _, files := range []bool{false, true} {
		data, err := objects(repo, files)
		if err != nil {
			return nil, err
		}
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: l, MediaType: types.OCILayer}); err != nil {
			return nil, err
		}
		if last, err = l.DiffID(); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", architecture
	config.Config.Labels = map[string]string{
		"ostree.commit": commit, "ostree.final-diffid": last.String(), "ostree.bootable": "true", "containers.bootc": "1", "com.coreos.stream": "stable",
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	return mutate.Annotations(image, map[string]string{"ostree.commit": commit, "fedora-coreos.stream": "stable"}).(v1.Image), nil
}

// objects packs a repository's files, or everything else of it.
func objects(repo string, files bool) ([]byte, error) {
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	top := filepath.Join(repo, "objects")
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".file") != files {
			return err
		}
		name, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join("sysroot/ostree/repo/objects", name), Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err = tw.Write(content)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Bytes(), tw.Close()
}
