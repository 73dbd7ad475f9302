package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/run"
)

// node is a store, and the program that starts what is in it as the main process of a unit.
type node struct {
	store   *pull.Store
	puller  *pull.Puller
	starter string // path of slipway-exec
	dir     string
	marker  string // made by a program that starts
}

func newNode(dir, starter string) *node {
	store := &pull.Store{Dir: filepath.Join(dir, "images")}
	return &node{
		store: store, puller: &pull.Puller{Store: store, Client: pull.NewClient()},
		starter: starter, dir: dir, marker: filepath.Join(dir, "started"),
	}
}

func (n *node) pull(ctx context.Context, url string, img *image) error {
	want := pull.Want{Name: img.name, Repository: "slipway/" + img.name, Index: img.index, Manifest: img.locked.Manifest, Locked: &img.locked, Root: true}
	return n.puller.Pull(ctx, []pull.Want{want}, []string{url}, nil)
}

// path is where a file of the image is in the store.
func (n *node) path(img *image, i int) string {
	return filepath.Join(n.store.Root(img.locked.Manifest), img.locked.Files[i].Path)
}

// start runs the image's unit as systemd would: the first file is the program, the others are
// tools that are checked with it. It reports whether the program ran, and whether that was refused.
func (n *node) start(ctx context.Context, img *image) (started, refused bool, err error) {
	first := img.locked.Files[0]
	spec := run.Spec{
		Unit: "slipway-" + img.name + ".service", Image: img.name, Digest: img.locked.Manifest,
		Binary: n.path(img, 0), Path: "/" + first.Path, SHA256: first.SHA256, Size: first.Size, Args: []string{n.marker},
	}
	for i, f := range img.locked.Files[1:] {
		spec.Tools = append(spec.Tools, run.Tool{Path: n.path(img, i+1), SHA256: f.SHA256, Size: f.Size})
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return false, false, err
	}
	file := filepath.Join(n.dir, "exec.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return false, false, err
	}
	cmd := exec.CommandContext(ctx, n.starter, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return false, false, context.Cause(ctx)
	}
	switch _, missing := os.Lstat(n.marker); {
	case missing == nil:
		return true, false, os.Remove(n.marker)
	case cmd.ProcessState.ExitCode() == run.ExitRefused:
		return false, true, nil
	default:
		return false, false, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
}

// left counts what is in the store.
func (n *node) left() (int, error) {
	files := 0
	err := filepath.WalkDir(n.store.Dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != n.store.Dir {
			files++
		}
		return err
	})
	return files, err
}

// empty removes all images.
func (n *node) empty() error { return n.store.Collect(nil) }
