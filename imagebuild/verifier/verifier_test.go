package verifier_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/verifier"
)

// node writes what a node has of the fixture.
func node(t *testing.T, f *layouttest.Fixture, policy string) verifier.Node {
	t.Helper()
	dir := t.TempDir()
	n := verifier.Node{Trust: dir, Lock: dir, Statement: filepath.Join(dir, "lock-keys.json"), Delivery: filepath.Join(dir, "delivery.json"), Policies: []string{filepath.Join(dir, "plan.json"), filepath.Join(dir, "policy.json")}}
	put(t, filepath.Join(dir, "lock.pub"), f.Keys)
	put(t, filepath.Join(dir, "images.yaml"), f.Text)
	put(t, filepath.Join(dir, "images.yaml.sig"), f.Signature)
	if policy != "" {
		put(t, n.Policies[1], []byte(policy))
	}
	return n
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func deliver(t *testing.T, n verifier.Node, f *layouttest.Fixture, number int64) {
	t.Helper()
	f.Lock.Issue(number, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), time.Hour)
	f.Finish(t)
	text, err := json.Marshal(protocol.Delivery{LockBytes: f.Text, LockSignature: f.Signature})
	if err != nil {
		t.Fatal(err)
	}
	put(t, n.Delivery, text)
}

func TestOurImagesMustBeInTheLock(t *testing.T) {
	f := layouttest.New(t)
	a, b := f.Lock.ByName("a")[0], f.Lock.ByName("b")[0]
	other := layout.Digest([]byte("another image"))
	const strict = `{"strict":true,"allow":["tenants.example.org/team","127.0.0.1:5000"]}`
	for _, c := range []struct {
		name, policy, image, digest, want string
		good                              bool
	}{
		{"the index", "", "r.example.org/slipway/a:v1.0.0", a.Index, "is the index of a v1.0.0 in the baked lock 7", true},
		{"the manifest", "", "r.example.org/slipway/a@" + a.Platforms[0].Manifest, a.Platforms[0].Manifest, "manifest for linux/amd64", true},
		{"the gzip manifest beneath a path", "", "127.0.0.1:5000/x/slipway/b:t", b.Platforms[1].Gzip.Manifest, "manifest for linux/arm64", true},
		{"the same name with another digest", "", "r.example.org/slipway/a:v1.0.0", other, "is in no lock that counts here (baked lock 7)", false},
		{"another image of ours under this name", "", "r.example.org/slipway/a:v1.0.0", b.Index, "is slipway/b v2.1.0 of the baked lock 7, not this repository", false},
		{"a path beneath ours", "", "r.example.org/slipway/a/evil:v1", other, "is in no lock", false},
		{"a digest in the name that is not the one", "", "r.example.org/slipway/a@" + other, a.Index, "expected digest " + other, false},
		{"a tenant's image", "", "docker.io/library/busybox:latest", other, "is none of ours", true},
		{"a name that only looks like ours", "", "docker.io/notslipway/a:1", other, "is none of ours", true},
		{"a tenant's image under a strict policy", strict, "docker.io/library/busybox:latest", other, "the strict policy does not allow docker.io/library/busybox", false},
		{"an allowed one", strict, "tenants.example.org/team/app:1", other, "in the policy's list", true},
		{"one beside an allowed one", strict, "tenants.example.org/teammate/app:1", other, "does not allow", false},
		{"an allowed registry", strict, "127.0.0.1:5000/app:1", other, "in the policy's list", true},
		{"ours is not overruled", strict, "127.0.0.1:5000/slipway/a:1", other, "is in no lock", false},
		{"the lock's image under a strict policy", strict, "docker.io/copies/a:1", a.Index, "is the index", true},
		{"no registry", "", "slipway/a", a.Index, "does not begin with a registry", false},
		{"no digest", "", "r.example.org/slipway/a:v1.0.0", "sha256:abc", "is no sha256 digest", false},
		{"another hash", "", "r.example.org/slipway/a:v1.0.0", "sha512:" + strings.Repeat("a", 128), "is no sha256 digest", false},
		{"dots", "", "r.example.org/../slipway/a:1", a.Index, "is no name of an image", false},
		{"upper case", "", "r.example.org/Slipway/a:1", other, "is no name of an image", false},
		{"nothing", "", "", a.Index, "is no name of an image", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := node(t, f, c.policy).Load()
			if err != nil {
				t.Fatal(err)
			}
			said, err := v.Judge(c.image, c.digest)
			if err != nil {
				said = err.Error()
			}
			if (err == nil) != c.good || !strings.Contains(said, c.want) {
				t.Errorf("allowed %v: %s", err == nil, said)
			}
		})
	}
}

func TestTheCurrentLockCountsBesideTheBakedOne(t *testing.T) {
	f := layouttest.New(t)
	n := node(t, f, "")
	next := layouttest.Empty(t)
	next.Signer, next.Keys = f.Signer, f.Keys
	img := next.Add(t, "c", "v1", []layouttest.File{{Path: "usr/bin/c", Content: "c"}})
	deliver(t, n, next, 9)
	v, err := n.Load()
	if err != nil {
		t.Fatal(err)
	}
	if said, err := v.Judge("r.example.org/slipway/c:v1", img.Index); err != nil || !strings.Contains(said, "current lock 9") {
		t.Errorf("%s, %v", said, err)
	}
	deliver(t, n, next, 6) // older than the baked one
	if v, err = n.Load(); err != nil {
		t.Fatal(err)
	}
	if said, err := v.Judge("r.example.org/slipway/c:v1", img.Index); err == nil {
		t.Errorf("an old lock counts: %s", said)
	}
}

func TestWhateverIsWrongIsARefusal(t *testing.T) {
	foreign := layouttest.New(t)
	for name, change := range map[string]func(t *testing.T, n verifier.Node, f *layouttest.Fixture){
		"no keys": func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) {
			remove(t, filepath.Join(n.Trust, "lock.pub"))
		},
		"foreign keys": func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) {
			put(t, filepath.Join(n.Trust, "lock.pub"), foreign.Keys)
		},
		"no lock": func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) {
			remove(t, filepath.Join(n.Lock, "images.yaml"))
		},
		"no signature": func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) {
			remove(t, filepath.Join(n.Lock, "images.yaml.sig"))
		},
		"another signature": func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) {
			put(t, filepath.Join(n.Lock, "images.yaml.sig"), foreign.Signature)
		},
		"a changed lock": func(t *testing.T, n verifier.Node, f *layouttest.Fixture) {
			put(t, filepath.Join(n.Lock, "images.yaml"), []byte(strings.Replace(string(f.Text), "number: 7", "number: 8", 1)))
		},
		"a delivery that is none":     func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) { put(t, n.Delivery, []byte("{")) },
		"a delivery of a foreign key": func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) { deliver(t, n, foreign, 12) },
		"a statement that is none":    func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) { put(t, n.Statement, []byte("{}")) },
		"a policy with a typing error": func(t *testing.T, n verifier.Node, _ *layouttest.Fixture) {
			put(t, n.Policies[1], []byte(`{"strickt":true}`))
		},
		"a revoked key": func(t *testing.T, n verifier.Node, f *layouttest.Fixture) {
			s := &lock.KeyStatement{Schema: lock.KeysSchema, Number: 1, Issued: "2026-11-21T12:00:00Z", Keys: []lock.Key{{ID: f.Signer.ID(), Until: 6}}}
			text, err := s.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			put(t, n.Statement, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := layouttest.New(t)
			n := node(t, f, "")
			change(t, n, f)
			if v, err := n.Load(); err == nil {
				t.Errorf("loaded with %d locks", len(v.Locks))
			}
		})
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func TestTheDescriptorMustBeTheOneOfTheArguments(t *testing.T) {
	digest := layout.Digest(nil)
	good := verifier.Request{Name: "r.example.org/a", Digest: digest, MediaType: verifier.MediaDescriptor}
	if err := good.Check(strings.NewReader(`{"mediaType":"x","digest":"` + digest + `","size":1}`)); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		r     verifier.Request
		stdin string
	}{
		"another digest": {good, `{"digest":"sha256:0"}`},
		"no descriptor":  {good, ""},
		"another type":   {verifier.Request{Name: "a", Digest: digest, MediaType: "text/plain"}, `{"digest":"` + digest + `"}`},
		"no name":        {verifier.Request{Digest: digest, MediaType: verifier.MediaDescriptor}, `{"digest":"` + digest + `"}`},
		"endless":        {good, strings.Repeat(" ", 5<<20)},
	} {
		if err := c.r.Check(strings.NewReader(c.stdin)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzReference(f *testing.F) {
	fixture := layouttest.New(f)
	signed := []verifier.Named{{Name: "lock", Lock: fixture.Lock}}
	digest := layout.Digest([]byte("another"))
	for _, name := range []string{"r.example.org/slipway/a:1", "localhost/slipway/a@" + digest, "r.example.org//slipway/a", "r.example.org/slipway%2fa"} {
		f.Add(name)
	}
	v := verifier.Verifier{Policy: verifier.DefaultPolicy(), Locks: signed}
	f.Fuzz(func(t *testing.T, name string) {
		path, _, _ := strings.Cut(name, "@")
		if said, err := v.Judge(name, digest); err == nil && strings.Contains(path, "/slipway/") {
			t.Errorf("%q: %s", name, said)
		}
	})
}
