package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/pull"
)

// ours is the agent's pull engine in a process of its own.
type ours struct{ dir, profile string }

func (o *ours) name() string { return "slipway" }

func (o *ours) does() string {
	return "fetch, sha256 of every blob and file against the lock, unpack, fsync, rename"
}

func (o *ours) pulls(scenario) bool { return true }

func (o *ours) prepare(_ context.Context, dir string) error {
	o.dir = dir
	return os.MkdirAll(dir, 0o755)
}

// order is what the child process is asked to pull.
type order struct {
	Dir, Registry string
	Images        []*image
}

func (o *ours) pull(ctx context.Context, addr string, images []*image) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	raw, err := json.Marshal(order{filepath.Join(o.dir, "images"), "http://" + addr, images})
	if err != nil {
		return sample{}, err
	}
	file := filepath.Join(o.dir, "order.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return sample{}, err
	}
	s, out, err := command(ctx, self, "-profile", o.profile, "store", file)
	if err != nil {
		return s, err
	}
	s.fetched, err = strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	return s, err
}

// store is the child: it pulls, and prints how many bytes of layers it fetched.
func store(ctx context.Context, file, profile string) error {
	if profile != "" {
		out, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		return err
	}
	puller := &pull.Puller{Store: &pull.Store{Dir: o.Dir}, Client: pull.NewClient()}
	var wants []pull.Want
	for _, img := range o.Images {
		wants = append(wants, pull.Want{Name: img.Repository, Repository: img.Repository, Manifest: img.Locked.Manifest, Locked: &img.Locked, Root: true})
	}
	if err := puller.Pull(ctx, wants, []string{o.Registry}, nil); err != nil {
		return err
	}
	fmt.Println(puller.Counts.Fetched.Load())
	return nil
}

func (o *ours) check(img *image) error {
	s := &pull.Store{Dir: filepath.Join(o.dir, "images")}
	for _, f := range img.Locked.Files {
		if err := exists(filepath.Join(s.Root(img.Locked.Manifest), f.Path), f.Size); err != nil {
			return err
		}
	}
	return nil
}

func (o *ours) clean() error { return nil }
