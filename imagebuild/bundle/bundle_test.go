package bundle_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/bundle/remote"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/trust"
)

// source is a fixture's layout and its lock.
func source(t *testing.T, f *layouttest.Fixture, images ...string) bundle.Source {
	t.Helper()
	l, err := layout.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	signed, err := bundle.Pack(f.Lock.Number, trust.Carried{Lock: f.Text, Signature: f.Signature, Keys: f.Keys})
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Join(bundle.Layout{Layout: l, Selection: bundle.Selection{Images: images}}, signed)
}

func write(t *testing.T, f *layouttest.Fixture, images ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.tar")
	if _, err := bundle.Create(t.Context(), path, source(t, f, images...), nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// prove verifies an archive or a layout with the lock that it carries.
func prove(t *testing.T, path string, keys []byte) *trust.Report {
	t.Helper()
	l, err := layout.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	carried, err := trust.FindLock(l)
	if err != nil || carried == nil {
		t.Fatalf("carried lock: %v, %v", carried, err)
	}
	signed, err := trust.VerifyLock(carried.Lock, carried.Signature, keys)
	if err != nil {
		t.Fatal(err)
	}
	r, err := trust.Verify(t.Context(), l, signed, trust.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestABundleIsProvedByTheLockThatItCarries(t *testing.T) {
	f := layouttest.New(t)
	r := prove(t, write(t, f), f.Keys)
	if !r.Proved() || r.Images != 4 || len(r.Absent) != 0 || len(r.Attached) != 9 {
		t.Errorf("%+v", r)
	}
	if r := prove(t, write(t, f, "a"), f.Keys); !r.Proved() || r.Images != 2 || len(r.Absent) == 0 {
		t.Errorf("one image: %+v", r)
	}
}

func TestABundleHasTheSameBytesWhereverItIsMade(t *testing.T) {
	f := layouttest.New(t)
	one, err := os.ReadFile(write(t, f))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *f
	elsewhere.Dir = t.TempDir()
	if err := os.CopyFS(elsewhere.Dir, os.DirFS(f.Dir)); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(write(t, &elsewhere))
	if err != nil || !bytes.Equal(one, other) {
		t.Errorf("differ: %v", err)
	}
	// What was bundled can be bundled again, from the archive itself.
	elsewhere.Dir = write(t, f)
	if again, err := os.ReadFile(write(t, &elsewhere)); err != nil || !bytes.Equal(one, again) {
		t.Errorf("bundled again it differs: %v", err)
	}
}

func TestAWrongBlobStopsTheBundleAndLeavesNothing(t *testing.T) {
	f := layouttest.New(t)
	digest := f.Lock.Images[1].Platforms[0].Layers[0].Digest
	f.Flip(t, digest)
	dir := t.TempDir()
	_, err := bundle.Create(t.Context(), filepath.Join(dir, "out.tar"), source(t, f), nil)
	if err == nil || !fault.IsTerminal(err) || !strings.Contains(err.Error(), "expected digest "+digest) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bundle.Create(ctx, filepath.Join(dir, "out.tar"), source(t, layouttest.New(t)), nil); err == nil {
		t.Error("written although it was cancelled")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestMain is also the bundling and the mirroring process that are killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SLIPWAY_TEST_BUNDLE"); dir != "" {
		l, err := layout.Open(dir)
		if err != nil {
			panic(err)
		}
		_, err = bundle.Create(context.Background(), filepath.Join(os.Getenv("SLIPWAY_TEST_OUT"), "out.tar"), bundle.Layout{Layout: l},
			func(done, total int64) {
				if done > total/2 {
					os.Stdout.WriteString("half\n")
					select {} // until it is killed
				}
			})
		panic(err)
	}
	if dir := os.Getenv("SLIPWAY_TEST_MIRROR"); dir != "" {
		l, err := layout.Open(dir)
		if err != nil {
			panic(err)
		}
		r, err := remote.New("http://" + os.Getenv("SLIPWAY_TEST_TO") + "/site")
		if err != nil {
			panic(err)
		}
		r.Push = true
		_, err = bundle.Mirror(context.Background(), bundle.Layout{Layout: l}, bundle.ToRegistry{Registry: r}, bundle.MirrorOptions{Parallel: 1})
		panic(err)
	}
	os.Exit(m.Run())
}

func TestAKilledBundleLeavesNoFile(t *testing.T) {
	f := layouttest.New(t)
	out := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SLIPWAY_TEST_BUNDLE="+f.Dir, "SLIPWAY_TEST_OUT="+out)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if left, _ := os.ReadDir(out); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAttacksOnABundleAreFound(t *testing.T) {
	f := layouttest.New(t)
	path := write(t, f)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	digest := f.Lock.Images[0].Platforms[0].Layers[0].Digest
	blob, err := os.ReadFile(f.Blob(digest))
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	at := bytes.Index(flipped, blob)
	flipped[at+len(blob)/2] ^= 1
	if err := os.WriteFile(path, flipped, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := prove(t, path, f.Keys); r.Proved() || r.Findings[0].Blob != digest {
		t.Errorf("a flipped byte: %v", r.Findings)
	}
	for _, n := range []int{len(whole) / 2, len(whole) - 1024, len(whole) - 1} {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if l, err := layout.Open(path); err == nil {
			l.Close()
			t.Errorf("%d bytes of %d were taken for an archive", n, len(whole))
		}
	}
	other := layouttest.New(t)
	path = write(t, f)
	l, err := layout.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	carried, err := trust.FindLock(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.VerifyLock(carried.Lock, carried.Signature, other.Keys); err == nil {
		t.Error("a bundle is believed without a trusted key")
	}
}
