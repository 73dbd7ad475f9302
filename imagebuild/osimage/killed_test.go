package osimage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/imagebuild/sign"
	"slipway.build/slipway/test/smalldisk"
)

// TestMain makes the test program the builder that a test kills.
func TestMain(m *testing.M) {
	if base := os.Getenv("SLIPWAY_TEST_BUILD_BASE"); base != "" {
		os.Exit(child(base))
	}
	os.Exit(m.Run())
}

// child builds as its environment says, and tells of each step on standard output.
func child(base string) int {
	dir := os.Getenv("SLIPWAY_TEST_BUILD_DIR")
	key, err := sign.ReadKey(filepath.Join(dir, "keys", sign.LocalKeyFile))
	if err != nil {
		panic(err)
	}
	key.Name = "local"
	c := Contents{Agent: filepath.Join(dir, "agent"), ImportTool: filepath.Join(dir, "import"), Exec: filepath.Join(dir, "exec"), Verifier: filepath.Join(dir, "verifier")}
	for name, to := range map[string]*[]byte{"lock": &c.Lock, "lock.sig": &c.LockSignature, "trust": &c.TrustKeys} {
		if *to, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			panic(err)
		}
	}
	_, err = Build(context.Background(), BuildOptions{Base: base, Out: os.Getenv("SLIPWAY_TEST_BUILD_OUT"), Repository: repository, Contents: c, Key: key,
		Progress: func(step string) { os.Stdout.WriteString(step + "\n") }})
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	return 0
}

// builder returns a command that builds in a process of its own.
func builder(t *testing.T, base, out string) *exec.Cmd {
	t.Helper()
	c := contents(t)
	dir := filepath.Dir(c.Agent)
	for name, data := range map[string][]byte{"lock": c.Lock, "lock.sig": c.LockSignature, "trust": c.TrustKeys} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SLIPWAY_TEST_BUILD_BASE="+base, "SLIPWAY_TEST_BUILD_DIR="+dir, "SLIPWAY_TEST_BUILD_OUT="+out)
	return cmd
}

func TestAKilledBuildLeavesNoHalfImageAndTheNextOneSucceeds(t *testing.T) {
	_, pinned := plain(t, testbase.Options{Layers: 60, LayerSize: 200 << 10})
	top := t.TempDir()
	out := filepath.Join(top, "node.oci")
	killed := 0
	for i := range 12 {
		cmd := builder(t, pinned, out)
		steps, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wait(steps, "write") // then at a moment that differs from round to round
		time.Sleep(time.Duration(i) * time.Millisecond)
		cmd.Process.Kill()
		err = cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
			killed++
		}
		if _, err := os.Stat(out); err == nil { // it got its name before it was killed, so it is whole
			complete(t, out)
			if err := os.RemoveAll(out); err != nil {
				t.Fatal(err)
			}
		}
	}
	if killed == 0 {
		t.Error("no build was killed")
	}
	cmd := builder(t, pinned, out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	complete(t, out)
	if left, _ := os.ReadDir(top); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// wait reads until a line is there, or the end.
func wait(r interface{ Read([]byte) (int, error) }, line string) {
	var text []byte
	for buffer := make([]byte, 64); !bytes.Contains(text, []byte(line)); {
		n, err := r.Read(buffer)
		if text = append(text, buffer[:n]...); err != nil {
			return
		}
	}
}

// complete reads everything that the image consists of.
func complete(t *testing.T, dir string) {
	t.Helper()
	layers, err := open(t, dir, "amd64").Layers()
	if err != nil {
		t.Fatal(err)
	}
	for n, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(filepath.Join(dir, "blobs", "sha256", digest.Hex))
		if err != nil {
			t.Fatalf("layer %d: %v", n+1, err)
		}
		got, err := sum(f)
		f.Close()
		if err != nil || got != digest.Hex {
			t.Fatalf("layer %d: %s, %v", n+1, got, err)
		}
	}
	for _, name := range []string{LockFile, LockSignature, "index.json", "oci-layout"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFullDiskIsSaidAndLeavesNothing(t *testing.T) {
	_, pinned := plain(t, testbase.Options{Layers: 6, LayerSize: 400 << 10})
	disk := smalldisk.Mount(t, 1<<20)
	_, err := Build(t.Context(), options(t, pinned, filepath.Join(disk, "node.oci")))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "of 7") {
		t.Errorf("error = %v, want that of a full disk, and the layer", err)
	}
	if left, _ := os.ReadDir(disk); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
