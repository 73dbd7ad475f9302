package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/fault"
)

func TestJoinTokenWorksOnceAndInTimeOnly(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	s, _ := open(t, Options{Now: func() time.Time { return now }})
	node := func(id string) {
		do(t, s, func(ctx context.Context, tx *Tx) error {
			i, err := tx.NextPodIndex(ctx, "c")
			if err != nil {
				return err
			}
			return tx.InsertNode(ctx, &Node{ID: id, ClusterID: "c", Name: id, Role: RoleMaster, PodIndex: i, TokenHash: HashToken("secret"), TokenSealed: []byte("x"), TokenExpiresAt: now.Add(time.Hour)})
		})
	}
	use := func(id, token string) error {
		return s.Tx(t.Context(), func(ctx context.Context, tx *Tx) error {
			if err := tx.UseToken(ctx, id, token); err != nil {
				return err
			}
			return tx.RecordCertificate(ctx, id, "1", "ff")
		})
	}
	node("a")
	node("b")
	if err := use("a", "wrong"); !errors.Is(err, ErrNotFound) {
		t.Errorf("wrong token: %v", err)
	}
	if err := use("a", "secret"); err != nil {
		t.Error(err)
	}
	if err := use("a", "secret"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("used token: %v", err)
	}
	if n, _ := s.Node(t.Context(), "a"); n.State != NodeJoined || n.TokenSealed != nil || n.CertificateFingerprint != "ff" {
		t.Errorf("joined node: %+v", n)
	}
	now = now.Add(2 * time.Hour)
	if err := use("b", "secret"); !errors.Is(err, ErrNotFound) {
		t.Errorf("expired token: %v", err)
	}
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.DeleteNode(ctx, "a") })
	node("c")
	if n, _ := s.Node(t.Context(), "c"); n.PodIndex != 1 {
		t.Errorf("the freed pod network was not used again: %d", n.PodIndex)
	}
}

func TestGenerationsOnlyGrow(t *testing.T) {
	s, _ := open(t, Options{})
	put := func(g uint64) error {
		return s.Tx(t.Context(), func(ctx context.Context, tx *Tx) error {
			return tx.InsertPlan(ctx, &Plan{NodeID: "n", Generation: g, Envelope: []byte("x")})
		})
	}
	if err := put(2); err != nil {
		t.Fatal(err)
	}
	for _, g := range []uint64{1, 2} {
		if err := put(g); fault.KindOf(err) != fault.Conflict {
			t.Errorf("generation %d after 2: %v", g, err)
		}
	}
}

func TestFactIsSetOnce(t *testing.T) {
	s, _ := open(t, Options{})
	for _, v := range []string{"first", "second"} {
		do(t, s, func(ctx context.Context, tx *Tx) error {
			got, err := tx.SetFactOnce(ctx, "c", "etcd-bootstrapped", v)
			if got != "first" {
				t.Errorf("got %q", got)
			}
			return err
		})
	}
}

func TestNodesAreFoundInTheProjectsClustersAlone(t *testing.T) {
	s, _ := open(t, Options{})
	do(t, s, func(ctx context.Context, tx *Tx) error {
		for _, project := range []string{"mine", "theirs"} {
			c := &Cluster{ProjectID: project, UserID: "u", Name: "k8s", Status: CreateComplete}
			if err := tx.InsertCluster(ctx, c); err != nil {
				return err
			}
			if err := tx.InsertNode(ctx, &Node{ID: "id-" + project, ClusterID: c.UUID, Name: "a", Role: RoleMaster, PodIndex: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct{ project, ident, want string }{
		{"mine", "a", "id-mine"}, {"mine", "id-mine", "id-mine"}, {"mine", "id-theirs", ""}, {"theirs", "a", "id-theirs"},
		{"", "a", "id-mine id-theirs"}, {"nobody", "a", ""}, {"mine", "b", ""},
	} {
		found, err := s.FindNodes(t.Context(), c.project, c.ident)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, n := range found {
			ids = append(ids, n.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("project %q, node %q: found %q, want %q", c.project, c.ident, got, c.want)
		}
	}
}
