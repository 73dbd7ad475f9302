package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/program"
	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/imagebuild/sign"
)

func main() {
	layers := flag.Int("layers", 400, "layers of the base")
	size := flag.Int("layer-size", 4<<10, "bytes of each of the base's layers; buildah's storage copies all lower layers for each one")
	rounds := flag.Int("rounds", 3, "times that each is run")
	bin := flag.String("bin", "bin", "directory with the node's programs")
	committed := flag.String("lock", "images.yaml", "components' lock to bake in")
	dir := flag.String("dir", "", "directory for everything that is written (default: a temporary one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *bin, *committed, *layers, *size, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench-os:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, bin, committed string, layers, size, rounds int) (err error) {
	if dir, err = os.MkdirTemp(dir, "slipt-bench-os-"); err != nil {
		return err
	}
	b := buildah{dir: filepath.Join(dir, "buildah")}
	defer func() {
		if cleared := b.close(); cleared == nil {
			os.RemoveAll(dir)
		} else if err == nil {
			err = cleared
		}
	}()
	contents, key, err := prepare(dir, bin, committed)
	if err != nil {
		return err
	}
	base, tag, err := writeBase(dir, layers, size)
	if err != nil {
		return err
	}
	tree, err := unpacked(contents, filepath.Join(dir, "tree"))
	if err != nil {
		return err
	}
	fmt.Printf("base: %d layers of %.1f MiB; the layer's files: %.1f MiB in %s\n", layers, float64(size)/(1<<20), float64(du(tree))/(1<<20), "one tree for both")
	var ours, theirs, commits []float64
	for round := range rounds {
		unix.Sync() // nobody waits for what the other one has written
		start := time.Now()
		out := filepath.Join(dir, fmt.Sprintf("ours-%d.oci", round))
		built, err := osimage.Build(ctx, osimage.BuildOptions{Base: base, Out: out, Repository: "registry.example.org/os/node", Contents: contents, Key: key})
		if err != nil {
			return err
		}
		ours = append(ours, time.Since(start).Seconds())
		fmt.Printf("ours     %d layers  %.2f s  (from base to signed image %.2f s; layer %.1f MiB packed)\n", built.Layers, ours[round], built.Took.Seconds(), float64(built.LayerSize)/(1<<20))
		unix.Sync()
		all, commit, err := b.derive(ctx, tag, tree, filepath.Join(dir, fmt.Sprintf("theirs-%d.oci", round)))
		if err != nil {
			return err
		}
		theirs, commits = append(theirs, all), append(commits, commit)
		fmt.Printf("buildah  from, copy, commit  %.2f s  (without reading the base %.2f s)\n", all, commit)
	}
	fmt.Printf("medians: ours %.2f s, buildah %.2f s, buildah with the base in its storage %.2f s\n", median(ours), median(theirs), median(commits))
	fmt.Printf("ratio os-warm %.1f\n", median(commits)/median(ours))
	fmt.Printf("ratio os %.1f\n", median(theirs)/median(ours))
	return nil
}

func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	return s[len(s)/2]
}

// prepare makes the layer's contents of the real programs and the real lock, signed by a key for the occasion.
func prepare(dir, bin, committed string) (c osimage.Contents, key *sign.Key, err error) {
	if key, err = sign.LocalKey(filepath.Join(dir, "keys")); err != nil {
		return c, nil, err
	}
	p := program.In(bin)
	c = osimage.Contents{Agent: p.Agent, ImportTool: p.ImportTool, Exec: p.Exec, Verifier: p.Verifier}
	if c.TrustKeys, err = key.PublicPEM(); err != nil {
		return c, nil, err
	}
	if c.Lock, err = os.ReadFile(committed); err != nil {
		return c, nil, err
	}
	c.LockSignature, err = key.Sign(c.Lock)
	c.Policy.Repositories = []osimage.Repository{{Name: "registry.example.org/os/node", Key: c.TrustKeys}}
	return c, key, err
}

// writeBase returns the base as we are told of it, and as buildah is.
func writeBase(dir string, layers, size int) (pinned, oci string, err error) {
	image, err := testbase.Image(testbase.Options{Layers: layers, LayerSize: size})
	if err != nil {
		return "", "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", "", err
	}
	at := filepath.Join(dir, "base.oci")
	return at + "@" + digest.String(), "oci:" + at, testbase.Write(at, image)
}

// unpacked is the layer's tree, for buildah to copy.
func unpacked(c osimage.Contents, dir string) (string, error) {
	layer, err := osimage.New(c)
	if err != nil {
		return "", err
	}
	return layer.ExtractTo(dir)
}

func du(dir string) (n int64) {
	filepath.Walk(dir, func(_ string, st os.FileInfo, err error) error {
		if err == nil && st.Mode().IsRegular() {
			n += st.Size()
		}
		return nil
	})
	return n
}
