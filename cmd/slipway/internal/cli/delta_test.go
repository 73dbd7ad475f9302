package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/lock"
)

// otherEtcd is the committed lock with another etcd of 1234 bytes under a manifest of 500.
func otherEtcd(t *testing.T) string {
	t.Helper()
	return changed(t, func(l *lock.Lock) {
		for n, img := range l.ByName("etcd") {
			sum := func(what string) string { return layout.Digest(fmt.Appendf(nil, "%s %d", what, n)) }
			for i := range img.Platforms {
				p := &img.Platforms[i]
				if p.Platform != "linux/amd64" {
					continue
				}
				p.Manifest, p.Size = sum("manifest"), 500
				p.Layers = []lock.Layer{{Digest: sum("layer"), DiffID: sum("tar"), Size: 1234}}
				for j := range p.Gzip.Layers {
					p.Gzip.Layers[j].DiffID = sum("tar")
				}
				for j := range p.Files {
					p.Files[j].SHA256 = strings.TrimPrefix(sum(p.Files[j].Path), "sha256:")
				}
			}
		}
	})
}

func TestADeltaOfOneComponentIsThatComponentOnTheNodesThatRunIt(t *testing.T) {
	other := otherEtcd(t)
	code, out, errs := netless(t, "images", "delta", committed, other, "-o", "json")
	var d fetched
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != ExitOK || len(d.Nodes) != 2 {
		t.Fatalf("code %d, %v, %s%s", code, err, out, errs)
	}
	for _, n := range d.Nodes {
		switch images := n.Fetch.Images; {
		case n.Role == "worker" && len(images) == 0 && n.Fetch.Bytes == 0 && len(n.Restart) == 0:
		case n.Role == "master" && len(images) == 1 && strings.HasPrefix(images[0].Image, "etcd@") && n.Fetch.Bytes == 1734:
		default:
			t.Errorf("a %s fetches %+v", n.Role, n.Fetch)
		}
	}
	if d.Bytes != 1734 {
		t.Errorf("the node that fetches most fetches %d bytes", d.Bytes)
	}
	code, out, errs = netless(t, "images", "delta", committed, other, "--max", "1733")
	if code != ExitFailed || !strings.Contains(errs, "a node fetches 1734 bytes, 1 more than the budget of 1733") || !strings.Contains(out, "etcd@") {
		t.Errorf("above the budget: %d, %s%s", code, out, errs)
	}
	if code, out, errs = netless(t, "images", "delta", committed, other, "--max", "1734"); code != ExitOK {
		t.Errorf("within the budget: %d, %s%s", code, out, errs)
	}
}

func TestADeltaOfTheNodeOSIsOurLayerOnTheSameBase(t *testing.T) {
	from, one, _ := nodeOS(t, layouttest.New(t), layouttest.New(t).Signer)
	to, other, ours := nodeOS(t, layouttest.New(t), layouttest.New(t).Signer) // another lock's key is baked in
	l, err := layout.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	layer, _ := l.Size(ours)
	manifest, _ := l.Size(other.Image.Derived)
	delta := func(args ...string) fetched {
		t.Helper()
		code, out, errs := netless(t, append([]string{"images", "delta", committed, committed, "-o", "json"}, args...)...)
		var d fetched
		if err := json.Unmarshal([]byte(out), &d); err != nil || code != ExitOK || d.OS == nil {
			t.Fatalf("%v: code %d, %v, %s%s", args, code, err, out, errs)
		}
		return d
	}
	d := delta("--os-from", from, "--os-to", to)
	if d.OS.From != one.Image.Derived || d.OS.To != other.Image.Derived || d.OS.Layers != 1 || d.OS.Present == 0 || d.Bytes != d.OS.Bytes ||
		d.OS.Bytes <= layer+manifest || d.OS.Bytes > layer+manifest+8192 {
		t.Errorf("%+v; our layer has %d bytes, the manifest %d", d.OS, layer, manifest)
	}
	if d := delta("--os-from", from, "--os-to", from); d.OS.Bytes != 0 || d.OS.Layers != 0 {
		t.Errorf("from an image to itself: %+v", d.OS)
	}
	code, _, errs := netless(t, "images", "delta", committed, committed, "--os-from", from, "--os-to", to, "--max", "1")
	if code != ExitFailed || !strings.Contains(errs, "the budget of 1") {
		t.Errorf("above the budget: %d, %s", code, errs)
	}
	if code, _, errs := netless(t, "images", "delta", committed, committed, "--os-from", from); code != ExitUsage {
		t.Errorf("one OS image only: %d, %s", code, errs)
	}
	if code, _, errs := netless(t, "images", "delta", committed, committed, "--os-from", from, "--os-to", t.TempDir()); code != ExitFailed || !strings.Contains(errs, "no OCI layout") {
		t.Errorf("no OS image: %d, %s", code, errs)
	}
}
