package conductor

import (
	"context"
	"path/filepath"
	"testing"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/store"
)

func TestPodRange(t *testing.T) {
	for _, c := range []struct {
		supernet string
		index    int
		want     string
	}{
		{"10.100.0.0/16", 1, "10.100.1.0/24"},
		{"10.100.0.0/16", 255, "10.100.255.0/24"},
		{"10.100.0.0/16", 256, ""},
		{"10.96.0.0/12", 4095, "10.111.255.0/24"},
		{"10.100.0.0/25", 1, ""},
		{"pods", 1, ""},
		{"fd00::/64", 1, ""},
	} {
		got, err := podRange(c.supernet, c.index)
		if (err != nil) != (c.want == "") || (err == nil && got.String() != c.want) {
			t.Errorf("node %d of %s: got %v, %v, want %q", c.index, c.supernet, got, err, c.want)
		}
	}
}

func TestRegistrationIsMadeOnceAndItsTokenIsInNoAttribute(t *testing.T) {
	ctx := t.Context()
	s, sealer := newStore(t)
	r := registration{s, sealer}
	req := cloud.Request{Key: store.NewID(), Cluster: store.NewID(), Properties: map[string]any{
		"name": "k8s-master-0", "role": "master", "nodegroup": "g", "address": "10.0.0.5", "pods_network_cidr": "10.100.0.0/16",
	}}
	first, err := r.Create(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Create(ctx, req)
	if err != nil || again.Physical != first.Physical || again.Attributes["pod_cidr"] != "10.100.1.0/24" {
		t.Fatalf("a second create gave %v, %v; the first %v", again, err, first)
	}
	node, err := s.Node(ctx, req.Key)
	if err != nil {
		t.Fatal(err)
	}
	token, err := sealer.Open(node.TokenSealed, tokenContext(req.Key))
	if err != nil || store.HashToken(string(token)) != node.TokenHash {
		t.Fatalf("the sealed token is not the hashed one: %v", err)
	}
	if first.Attributes["user_data"] != userDataPrefix+req.Key {
		t.Errorf("user_data is %v, want a reference", first.Attributes["user_data"])
	}
	if err := r.Delete(ctx, req); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, req); err != nil {
		t.Errorf("a second delete: %v", err)
	}
}

func TestSecretsAreMadeOnce(t *testing.T) {
	ctx := t.Context()
	s, sealer := newStore(t)
	cluster := store.NewID()
	for range 2 {
		if err := ensureSecrets(ctx, s, sealer, cluster); err != nil {
			t.Fatal(err)
		}
	}
	secrets, err := s.Secrets(ctx, cluster)
	if err != nil || len(secrets) != 2 {
		t.Fatalf("%d secrets, %v; want 2", len(secrets), err)
	}
	for _, secret := range secrets {
		if _, err := sealer.Open(secret.Sealed, SecretContext(cluster, secret.Name, secret.Version)); err != nil {
			t.Errorf("secret %s: %v", secret.Name, err)
		}
	}
}

func newStore(t *testing.T) (*store.Store, *store.Sealer) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(context.Background(), filepath.Join(dir, "db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	sealer, err := store.OpenSealer(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	return s, sealer
}
