package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// workers is how many flips are tried side by side.
const workers = 2

// realShare is every how manieth flip is one of the image with a real program.
const realShare = 50

// caseLimit ends a pull that neither succeeds nor is refused.
const caseLimit = time.Minute

// tamper does that many flips in places that seed decides, with everything below dir.
func tamper(ctx context.Context, dir string, flips int, seed uint64) (*counts, error) {
	starter, err := buildStarter(ctx, dir)
	if err != nil {
		return newCounts(), err
	}
	images, err := makeImages(starter, rand.New(rand.NewPCG(seed, 0)))
	if err != nil {
		return newCounts(), err
	}
	c := newCounts()
	group, ctx := errgroup.WithContext(ctx)
	for i := range workers {
		group.Go(func() error {
			w, err := newWorker(filepath.Join(dir, fmt.Sprint("worker", i)), starter, images, rand.New(rand.NewPCG(seed, uint64(i)+1)))
			if err != nil {
				return err
			}
			defer w.close()
			return w.work(ctx, i, flips, c)
		})
	}
	return c, group.Wait()
}

// buildStarter builds slipway-exec, the main process of every unit.
func buildStarter(ctx context.Context, dir string) (string, error) {
	out := filepath.Join(dir, "slipway-exec")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, "slipway.build/slipway/cmd/slipway-exec")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build slipway-exec: %w: %s", err, said)
	}
	return out, nil
}

// makeImages makes small images with layers of every compression, and one with a real program of
// some megabytes, which is the last.
func makeImages(program string, random *rand.Rand) ([]*image, error) {
	real, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var images []*image
	for i, compression := range [][]string{{"+gzip", "+zstd"}, {"+zstd", "+gzip"}, {"", "+gzip"}} {
		img, err := makeImage(fmt.Sprint("tiny", i), compression,
			file{"usr/bin/program", tinyProgram(3000+1000*i, random)}, file{"usr/bin/tool", tinyProgram(2000, random)})
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	last, err := makeImage("real", []string{"+gzip", "+zstd"}, file{"usr/bin/program", tinyProgram(5000, random)}, file{"usr/bin/tool", real})
	return append(images, last), err
}

func init() {
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		panic("tamper: its program is for Linux on amd64")
	}
}
