//go:build acceptance

package acceptance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
	"slipway.build/slipway/test/harness"
)

// TestAChangedLayerIsRefused flips one byte of a layer in the registry, of an image that runs
// as a unit and of one that runs in a pod.
func TestAChangedLayerIsRefused(t *testing.T) {
	s := prepare(t)
	locked, err := lock.Load(filepath.Join(s.Root, "images.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "coredns"} {
		t.Run(name, func(t *testing.T) {
			images := locked.ByName(name)
			if len(images) != 1 {
				t.Fatalf("the lock has %d versions of %s", len(images), name)
			}
			platform, ok := images[0].For("linux/" + runtime.GOARCH)
			if !ok || len(platform.Layers) == 0 {
				t.Fatalf("the lock has no %s for this platform", name)
			}
			want := platform.Layers[0].Digest
			found, restore := flip(t, s, want)
			defer restore()
			// A cluster that failed would be in the way of the next one.
			t.Cleanup(func() {
				if t.Failed() {
					s.Report(t)
				}
				s.Slipway(t, "cluster", "delete", "k8s", "--wait")
			})
			begun := time.Now()
			s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
			c := ended(t, s, "k8s")
			t.Logf("after %s: %s: %s", time.Since(begun).Round(time.Millisecond), c.Status, c.Reason)
			if c.Status != "CREATE_FAILED" {
				t.Errorf("the cluster is %s", c.Status)
			}
			for _, part := range []string{name, want, found} {
				if !strings.Contains(c.Reason, part) {
					t.Errorf("the reason does not name %s: %s", part, c.Reason)
				}
			}
			masters, workers := s.Nodes(t, 1, 1)
			for _, n := range append(masters, workers...) {
				nothingOf(t, n, name, platform.Manifest)
			}
		})
	}
}

// flip changes one byte in the middle of a blob of the registry and returns what its digest is
// now. The blob is a link into the build cache, so it is replaced, not written to.
func flip(t *testing.T, s *harness.System, digest string) (found string, restore func()) {
	t.Helper()
	path := filepath.Join(s.State, "registry", "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte(nil), good...)
	bad[len(bad)/2] ^= 1
	replace := func(content []byte) {
		if err := os.WriteFile(path+".new", content, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace(bad)
	return plan.DigestOf(bad), func() { replace(good) }
}

// nothingOf checks that nothing of an image is in the node's store and that no program of it
// runs or has run.
func nothingOf(t *testing.T, n harness.Server, name, manifest string) {
	t.Helper()
	if pids := n.Processes(t, name); len(pids) > 0 {
		t.Errorf("%s: processes %v of %s run", n.Name, pids, name)
	}
	entries, err := os.ReadDir(n.File("/var/lib/slipway/images"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), strings.TrimPrefix(manifest, "sha256:")) {
			t.Errorf("%s: its store holds %s", n.Name, e.Name())
		}
	}
	if out := n.Inside(t, "journalctl", "--no-pager", "-u", "slipway-"+name+".service"); strings.Contains(out, "Started") {
		t.Errorf("%s: %s has been started: %s", n.Name, name, out)
	}
}

// TestALockWithAWrongSignatureIsRefused exchanges, while slipwayd is stopped, what says which
// images are trusted: the signature of the lock that is delivered, and the key in the OS layer.
func TestALockWithAWrongSignatureIsRefused(t *testing.T) {
	foreign, err := sign.LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	public, err := foreign.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, tamper := range map[string]func(t *testing.T, s *harness.System){
		"delivered with another key's signature": func(t *testing.T, s *harness.System) {
			path := filepath.Join(s.State, "control", "lock", "images.yaml")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := foreign.Sign(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".sig", signature, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"while the OS layer trusts another key": func(t *testing.T, s *harness.System) {
			path := filepath.Join(osLayer(t, s), "usr/share/slipway/trust/lock.pub")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, public, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			s.KillDaemon(t)
			tamper(t, s)
			s.StartDaemon(t)
			refused(t, s, "signature")
		})
	}
}

// osLayer is the directory of the OS layer that servers boot from.
func osLayer(t *testing.T, s *harness.System) string {
	t.Helper()
	layers, err := filepath.Glob(filepath.Join(s.State, "os", "*"))
	if err != nil || len(layers) != 1 {
		t.Fatalf("want one OS layer, found %v (%v)", layers, err)
	}
	return layers[0]
}

// refused creates a cluster and checks that it fails fast with such a reason, before anything
// has been pulled.
func refused(t *testing.T, s *harness.System, reason string) {
	t.Helper()
	begun := time.Now()
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
	nothingRan(t, s, begun, reason)
}

func nothingRan(t *testing.T, s *harness.System, begun time.Time, reason string) {
	t.Helper()
	c := ended(t, s, "k8s")
	t.Logf("after %s: %s: %s", time.Since(begun).Round(time.Millisecond), c.Status, c.Reason)
	if c.Status != "CREATE_FAILED" || !strings.Contains(c.Reason, reason) {
		t.Errorf("the cluster is %s, its reason lacks %q: %s", c.Status, reason, c.Reason)
	}
	masters, workers := s.Nodes(t, 1, 1)
	for _, n := range append(masters, workers...) {
		entries, err := os.ReadDir(n.File("/var/lib/slipway/images"))
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		if len(entries) > 0 {
			t.Errorf("%s has pulled %v", n.Name, entries)
		}
		if _, err := os.Lstat(n.File("/var/lib/slipway/current")); !os.IsNotExist(err) {
			t.Errorf("%s has switched to a generation (%v)", n.Name, err)
		}
		for _, program := range []string{"etcd", "kube-apiserver", "kubelet", "containerd"} {
			if pids := n.Processes(t, program); len(pids) > 0 {
				t.Errorf("%s: %s runs: %v", n.Name, program, pids)
			}
		}
	}
}

// TestAPlanSignedByAnotherKeyIsRefused seals the plans in the database with another key, while
// slipwayd is dead and before a node has taken its plan.
func TestAPlanSignedByAnotherKeyIsRefused(t *testing.T) {
	s := prepare(t)
	db := database(t, s)
	begun := time.Now()
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
	reached(t, db, "both nodes have a plan", "SELECT count(*) > 1 FROM plans")
	s.KillDaemon(t)
	if n := count(t, db, "SELECT count(*) FROM nodes WHERE joined_at IS NOT NULL"); n > 0 {
		t.Logf("%d nodes have joined already", n)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("SELECT seq, envelope FROM plans")
	if err != nil {
		t.Fatal(err)
	}
	envelopes := map[int][]byte{}
	for rows.Next() {
		var seq int
		var envelope []byte
		if err := rows.Scan(&seq, &envelope); err != nil {
			t.Fatal(err)
		}
		envelopes[seq] = envelope
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	for seq, envelope := range envelopes {
		if _, err := db.Exec("UPDATE plans SET envelope = ? WHERE seq = ?", reseal(t, envelope, key), seq); err != nil {
			t.Fatal(err)
		}
	}
	s.StartDaemon(t)
	nothingRan(t, s, begun, "signature")
}

// reseal returns the same plan in an envelope of another key.
func reseal(t *testing.T, envelope []byte, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	var e struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal(envelope, &e); err != nil {
		t.Fatal(err)
	}
	canonical, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Parse(canonical)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := plan.Seal(context.Background(), p, key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}
