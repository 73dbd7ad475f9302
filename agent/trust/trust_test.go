package trust_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/trust"
)

const nodeID = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"

func TestOnlyWhatASignedLockNamesIsAccepted(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: []byte("etcd")}})
	other := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: []byte("other")}})
	unresolved := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: []byte("etcd")}})
	third := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: []byte("third")}})
	other.Locked.Version = "v1.0.1" // both versions may stand in one lock
	unresolved.Locked.Unresolved, unresolved.Locked.Platforms, unresolved.Locked.Index = "cannot be fetched", nil, ""
	lockKey, lockPEM := testimage.Key(t)
	foreign, _ := testimage.Key(t)
	planKey, _ := testimage.Key(t)
	public, err := plan.PublicKey(&planKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	lockBytes, signature, digest := testimage.Lock(t, lockKey, image)
	otherBytes, otherSignature, otherDigest := testimage.Lock(t, lockKey, other)
	bothBytes, bothSignature, bothDigest := testimage.Lock(t, lockKey, other, image)
	emptyBytes, emptySignature, emptyDigest := testimage.Lock(t, lockKey, unresolved)
	_, foreignSignature, _ := testimage.Lock(t, foreign, image)
	dir := t.TempDir()
	verifier := &trust.Verifier{Node: nodeID, PlanKeys: func() []protocol.PlanKey { return []protocol.PlanKey{public} }, TrustDir: dir, Baked: filepath.Join(dir, "baked")}
	if err := os.MkdirAll(verifier.Baked, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, raw []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("lock.pub", lockPEM)
	type change = func(*plan.Plan, *protocol.Delivery)
	for name, test := range map[string]struct {
		change change
		want   string // "" for accepted
	}{
		"as it should be":   {func(*plan.Plan, *protocol.Delivery) {}, ""},
		"by the baked lock": {func(_ *plan.Plan, d *protocol.Delivery) { d.LockBytes, d.LockSignature = nil, nil }, ""},
		"another lock":      {func(_ *plan.Plan, d *protocol.Delivery) { d.LockBytes, d.LockSignature = otherBytes, otherSignature }, "the plan wants " + digest},
		"another lock's image": {func(p *plan.Plan, d *protocol.Delivery) {
			d.LockBytes, d.LockSignature, p.Lock = otherBytes, otherSignature, otherDigest
		}, "expected manifest " + other.Platform().Manifest + " by the signed lock, found " + image.Platform().Manifest},
		"one of two versions": {func(p *plan.Plan, d *protocol.Delivery) {
			d.LockBytes, d.LockSignature, p.Lock = bothBytes, bothSignature, bothDigest
		}, ""},
		"a third beside two versions": {func(p *plan.Plan, d *protocol.Delivery) {
			d.LockBytes, d.LockSignature, p.Lock = bothBytes, bothSignature, bothDigest
			p.Images[0].Digest = third.Platform().Manifest
		}, "expected manifest " + image.Platform().Manifest + " or " + other.Platform().Manifest + " by the signed lock, found " + third.Platform().Manifest},
		"a foreign signature": {func(_ *plan.Plan, d *protocol.Delivery) { d.LockSignature = foreignSignature }, "trusted keys"},
		"no signature":        {func(_ *plan.Plan, d *protocol.Delivery) { d.LockSignature = nil }, "signature is empty"},
		"an unresolved image": {func(p *plan.Plan, d *protocol.Delivery) {
			d.LockBytes, d.LockSignature, p.Lock = emptyBytes, emptySignature, emptyDigest
		}, "unresolved in the signed lock"},
		"an unknown image":  {func(p *plan.Plan, _ *protocol.Delivery) { p.Images[0].Name, p.Units[0].Exec.Image = "x", "x" }, "image x: not in the signed lock"},
		"an unknown binary": {func(p *plan.Plan, _ *protocol.Delivery) { p.Units[0].Exec.Binary = "usr/bin/sh" }, "has no file usr/bin/sh"},
		"another node":      {func(p *plan.Plan, _ *protocol.Delivery) { p.Node.ID = "00000000-0000-0000-0000-000000000001" }, "this is node " + nodeID},
	} {
		t.Run(name, func(t *testing.T) {
			write("baked/images.yaml", lockBytes)
			write("baked/images.yaml.sig", signature)
			p := &plan.Plan{
				Schema: plan.Schema, Node: plan.Node{ID: nodeID, Name: "n", Cluster: nodeID, Role: "worker", Address: "10.0.0.1"},
				Generation: 1, Deployment: "d", Lock: digest, Registries: []string{"http://127.0.0.1:1"},
				Images:   []plan.Image{{Name: "etcd", Repository: "slipway/etcd", Digest: image.Platform().Manifest}},
				Units:    []plan.Unit{{Name: "slipway-etcd.service", Text: "[Service]", Exec: &plan.Exec{Image: "etcd", Binary: "usr/bin/etcd"}}},
				Deadline: 1,
			}
			delivery := protocol.Delivery{LockBytes: lockBytes, LockSignature: signature}
			p.Issue(time.Now(), time.Hour)
			test.change(p, &delivery)
			envelope, err := plan.Seal(t.Context(), p, planKey)
			if err != nil {
				t.Fatal(err)
			}
			delivery.Envelope = envelope
			checked, err := verifier.Check(t.Context(), delivery)
			if test.want == "" {
				if err != nil || checked.Platforms["etcd"].Manifest != image.Platform().Manifest {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if !fault.IsTerminal(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want a terminal one with %q", err, test.want)
			}
		})
	}
	t.Run("each of two versions, and no third", func(t *testing.T) {
		for _, wanted := range []*testimage.Image{image, other} {
			found, err := verifier.Platforms(bothBytes, bothSignature, bothDigest, []plan.Image{{Name: "etcd", Digest: wanted.Platform().Manifest}})
			if err != nil || found["etcd"].Manifest != wanted.Platform().Manifest || found["etcd"].Files[0] != wanted.Platform().Files[0] {
				t.Errorf("%v, %v", found, err)
			}
		}
		if _, err := verifier.Platforms(bothBytes, bothSignature, bothDigest, []plan.Image{{Name: "etcd", Digest: third.Platform().Manifest}}); !fault.IsTerminal(err) {
			t.Errorf("error %v, want a terminal one", err)
		}
	})
	t.Run("without any trusted key", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "lock.pub")); err != nil {
			t.Fatal(err)
		}
		p := &plan.Plan{
			Schema: plan.Schema, Node: plan.Node{ID: nodeID, Name: "n", Cluster: nodeID, Role: "worker", Address: "10.0.0.1"},
			Generation: 1, Deployment: "d", Lock: digest, Deadline: 1,
		}
		p.Issue(time.Now(), time.Hour)
		envelope, err := plan.Seal(t.Context(), p, planKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Check(t.Context(), protocol.Delivery{Envelope: envelope, LockBytes: lockBytes, LockSignature: signature}); !fault.IsTerminal(err) {
			t.Errorf("error %v, want a terminal one", err)
		}
	})
}
