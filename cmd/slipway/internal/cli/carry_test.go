package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/trust"
)

// TestABundleGoesToASiteWithoutANetwork takes the whole way: from a layout into an archive, its proof by a
// compared key id, out of it again, and the chain; all without a network.
func TestABundleGoesToASiteWithoutANetwork(t *testing.T) {
	f := layouttest.New(t)
	flags := files(t, f)
	dir := t.TempDir()
	out, site := filepath.Join(dir, "out.tar"), filepath.Join(dir, "site")
	must := func(args ...string) string {
		t.Helper()
		code, said, errs := netless(t, append(args, "--state", dir)...)
		if code != ExitOK {
			t.Fatalf("%v: code %d\n%s%s", args, code, said, errs)
		}
		return said
	}
	said := must(append([]string{"images", "bundle", out, "--from", f.Dir}, flags...)...)
	if !strings.Contains(said, "slipway/a:v1.0.0") || !strings.Contains(said, "2 images and 9 attachments") {
		t.Errorf("bundle: %s", said)
	}
	// Without a key there is no proof, and the message says which id to compare.
	code, _, errs := netless(t, "images", "verify", "--offline", out, "--state", dir)
	if code != ExitFailed || !strings.Contains(errs, "--key-id "+f.Signer.ID()) {
		t.Errorf("without a key: %d, %s", code, errs)
	}
	if code, _, errs = netless(t, "images", "verify", out, "--state", dir, "--key-id", "sha256:"+strings.Repeat("0", 64)); code != ExitFailed {
		t.Errorf("with another id: %d, %s", code, errs)
	}
	must("images", "verify", "--offline", out, "--key-id", f.Signer.ID(), "--complete")
	must("images", "unbundle", out, site, "--key-id", f.Signer.ID())
	must("images", "unbundle", out, site, "--key-id", f.Signer.ID()) // again changes nothing
	must("images", "verify", "--offline", site, "--key-id", f.Signer.ID(), "--complete")

	var chain struct{ Chain []trust.Link }
	if err := json.Unmarshal([]byte(must("images", "chain", "a", "-o", "json", "--layout", site, "--key-id", f.Signer.ID())), &chain); err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]trust.Verdict{}
	for _, l := range chain.Chain {
		verdicts[l.Of+" "+l.What] = l.Verdict
	}
	for what, want := range map[string]trust.Verdict{
		"lock signed by": trust.ProvedHere, "lock lock": trust.ProvedHere, "a@v1.0.0 index": trust.ProvedHere,
		"a@v1.0.0 linux/amd64 file usr/bin/a": trust.ProvedHere, "a@v1.0.0 linux/arm64 layer diffID": trust.ProvedHere,
		"a@v1.0.0 source example.org/a v1.0.0": trust.Stated, "a@v1.0.0 toolchain": trust.Stated,
	} {
		if verdicts[what] != want {
			t.Errorf("%s is %q, want %q", what, verdicts[what], want)
		}
	}
	if verdicts["b@v2.1.0 index"] != "" {
		t.Error("an image that was not asked for is in the chain")
	}
	layer := f.Lock.ByName("a")[0].Platforms[0].Layers[0].Digest
	elsewhere := *f
	elsewhere.Dir = site
	if err := os.Chmod(elsewhere.Blob(layer), 0o644); err != nil {
		t.Fatal(err)
	}
	elsewhere.Flip(t, layer)
	code, said, _ = netless(t, "images", "chain", "a", "--layout", site, "--key-id", f.Signer.ID(), "--state", dir)
	if code != ExitFailed || !strings.Contains(said, "wrong") {
		t.Errorf("a chain with a flipped byte: %d\n%s", code, said)
	}
}

func TestADeltaHasABudget(t *testing.T) {
	lock := "../../../../images.yaml"
	code, out, errs := netless(t, "images", "delta", lock, lock, "--max", "1")
	if code != ExitOK || !strings.Contains(out, "master") {
		t.Errorf("from a lock to itself: %d, %s%s", code, out, errs)
	}
}
