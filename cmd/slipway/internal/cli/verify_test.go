package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/trust"
)

// asCommand makes this test binary the slipway command: its value is a JSON list of arguments.
const asCommand = "SLIPWAY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if text := os.Getenv(asCommand); text != "" {
		var args []string
		if err := json.Unmarshal([]byte(text), &args); err != nil {
			panic(err)
		}
		os.Exit(Run(context.Background(), args, IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Now: time.Now}))
	}
	os.Exit(m.Run())
}

// netless runs the slipway command in a network name space that has nothing, not even a loopback that is up.
func netless(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	text, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	unshare := []string{"--net", "--", os.Args[0]}
	if os.Geteuid() != 0 {
		unshare = append([]string{"--map-root-user"}, unshare...)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", unshare...)
	cmd.Env = append(os.Environ(), asCommand+"="+string(text))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// files writes the fixture's lock, signature and keys, and returns the flags that name them.
func files(t *testing.T, f *layouttest.Fixture) []string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"images.yaml": f.Text, "images.yaml.sig": f.Signature, "lock.pub": f.Keys} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--lock", filepath.Join(dir, "images.yaml"), "--key", filepath.Join(dir, "lock.pub")}
}

func TestVerifyProvesALayoutWithoutANetwork(t *testing.T) {
	f := layouttest.New(t)
	flags := files(t, f)
	args := append([]string{"images", "verify", "--offline", "-o", "json", f.Dir}, flags...)
	code, out, errs := netless(t, args...)
	var report trust.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != ExitOK || !report.Proved() || report.Images != 4 || report.Key != f.Signer.ID() {
		t.Fatalf("code %d, %v, %s%s", code, err, out, errs)
	}
	layer := f.Lock.Images[0].Platforms[0].Layers[0].Digest
	f.Flip(t, layer)
	code, out, errs = netless(t, args...)
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != ExitFailed || report.Proved() || !strings.Contains(out, layer) {
		t.Errorf("a flipped byte: code %d, %v, %s%s", code, err, out, errs)
	}
	code, out, errs = netless(t, append([]string{"images", "verify", "--offline", f.Dir}, flags...)...)
	if code != ExitFailed || !strings.Contains(out, "a@v1.0.0 linux/amd64 layer 1 of 1 (zstd): digest "+layer+": expected "+layer+", found sha256:") {
		t.Errorf("in words: code %d, %s%s", code, out, errs)
	}
}

func TestVerifyRefusesForeignKeysAndNoLayout(t *testing.T) {
	f, other := layouttest.New(t), layouttest.New(t)
	flags := files(t, f)
	foreign := files(t, other)
	code, _, errs := netless(t, "images", "verify", f.Dir, flags[0], flags[1], foreign[2], foreign[3])
	if code != ExitFailed || !strings.Contains(errs, "by none of the 1 trusted keys") {
		t.Errorf("foreign key: %d, %s", code, errs)
	}
	code, _, errs = netless(t, append([]string{"images", "verify", t.TempDir()}, flags...)...)
	if code != ExitFailed || !strings.Contains(errs, "it is no OCI layout") {
		t.Errorf("no layout: %d, %s", code, errs)
	}
	code, _, errs = netless(t, append([]string{"images", "verify", f.Dir + "/nowhere"}, flags...)...)
	if code != ExitUsage {
		t.Errorf("nothing there: %d, %s", code, errs)
	}
}
