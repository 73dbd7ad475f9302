package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// The states of a node.
const (
	NodeRegistered = "registered" // it may join with its token
	NodeJoined     = "joined"     // it has a certificate
	NodeRemoved    = "removed"    // it may do nothing more
)

// Node is a row of nodes.
type Node struct {
	bun.BaseModel `bun:"table:nodes"`

	Seq       int64  `bun:"seq,pk,autoincrement"`
	ID        string `bun:"id"` // UUID, as in the node's certificate
	ClusterID string `bun:"cluster_id"`
	Nodegroup string `bun:"nodegroup"` // UUID
	Name      string `bun:"name"`      // host name and Kubernetes node name
	Role      string `bun:"role"`
	Address   string `bun:"address"` // IPv4 on the cluster network
	// PodIndex is the number of the node's /24 in the pods' network; a removed node's is free.
	PodIndex int    `bun:"pod_index,nullzero"`
	PodCIDR  string `bun:"pod_cidr"`
	State    string `bun:"state"`
	// TokenHash is the hex SHA-256 of the one-time join token. TokenSealed is the token itself
	// for the node's user data, and gone once it was used.
	TokenHash      string    `bun:"token_hash,nullzero"`
	TokenSealed    []byte    `bun:"token_sealed,nullzero"`
	TokenExpiresAt time.Time `bun:"token_expires_at,nullzero"`
	TokenUsedAt    time.Time `bun:"token_used_at,nullzero"`
	// CertificateFingerprint is the hex SHA-256 of the DER certificate.
	CertificateSerial      string    `bun:"certificate_serial,nullzero"`
	CertificateFingerprint string    `bun:"certificate_fingerprint,nullzero"`
	JoinedAt               time.Time `bun:"joined_at,nullzero"`
	SeenAt                 time.Time `bun:"seen_at,nullzero"`
	CreatedAt              time.Time `bun:"created_at"`
}

// HashToken is how a join token is stored and found.
func HashToken(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

// InsertNode adds a node. The caller has chosen PodIndex with NextPodIndex in the same
// transaction.
func (tx *Tx) InsertNode(ctx context.Context, n *Node) error {
	n.CreatedAt = tx.now
	if n.State == "" {
		n.State = NodeRegistered
	}
	return tx.insert(ctx, "node "+n.Name, n)
}

// NextPodIndex returns the lowest number from 1 on that no node of the cluster has.
func (tx *Tx) NextPodIndex(ctx context.Context, cluster string) (int, error) {
	var used []int
	if err := tx.db.NewRaw(`SELECT pod_index FROM nodes WHERE cluster_id = ? AND pod_index IS NOT NULL ORDER BY pod_index`, cluster).Scan(ctx, &used); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("choose a pod network in cluster %s: %w", cluster, err)
	}
	next := 1
	for _, u := range used {
		if u == next {
			next++
		}
	}
	return next, nil
}

// UpdateNode writes all of n but its keys.
func (tx *Tx) UpdateNode(ctx context.Context, n *Node) error {
	tx.Notify(NodeTopic(n.ID))
	return tx.updateModel(ctx, "node "+n.ID, n, []string{"seq", "id", "cluster_id", "created_at"}, "id = ?", n.ID)
}

// UseToken marks the node as joined, and its token as used for ever. It
// returns a conflict when the token was used before, and ErrNotFound when there is no such
// node with that token or the token has expired.
func (tx *Tx) UseToken(ctx context.Context, node, token string) error {
	n, err := tx.Node(ctx, node)
	if err != nil {
		return err
	}
	switch {
	case n.TokenHash == "" || n.TokenHash != HashToken(token) || n.State == NodeRemoved:
		return fmt.Errorf("node %s with this token: %w", node, ErrNotFound)
	case !n.TokenUsedAt.IsZero():
		return conflict("the join token of node %s was used at %s", node, n.TokenUsedAt.Format(time.RFC3339))
	case tx.now.After(n.TokenExpiresAt):
		return fmt.Errorf("node %s with a token still valid (it expired at %s): %w", node, n.TokenExpiresAt.Format(time.RFC3339), ErrNotFound)
	}
	n.State, n.TokenUsedAt, n.TokenSealed, n.JoinedAt = NodeJoined, tx.now, nil, tx.now
	return tx.UpdateNode(ctx, n)
}

// RecordCertificate notes the newest certificate of a node.
func (tx *Tx) RecordCertificate(ctx context.Context, id, serial, fingerprint string) error {
	n, err := tx.exec(ctx, "note the certificate of node "+id, `UPDATE nodes SET certificate_serial = ?, certificate_fingerprint = ? WHERE id = ?`, serial, fingerprint, id)
	return updated(n, err, "node "+id)
}

// TouchNode notes that the node has called.
func (tx *Tx) TouchNode(ctx context.Context, id string) error {
	n, err := tx.exec(ctx, "note a call of node "+id, `UPDATE nodes SET seen_at = ? WHERE id = ?`, tx.now, id)
	return updated(n, err, "node "+id)
}

// DeleteNode removes a node with its plans, signals, conditions and actions; one that is gone is
// no error.
func (tx *Tx) DeleteNode(ctx context.Context, id string) error {
	for _, q := range []string{
		`DELETE FROM signals WHERE node_id = ?`, `DELETE FROM plans WHERE node_id = ?`, `DELETE FROM node_conditions WHERE node_id = ?`,
		`DELETE FROM actions WHERE node_id = ?`, `DELETE FROM nodes WHERE id = ?`,
	} {
		if _, err := tx.exec(ctx, "delete node "+id, q, id); err != nil {
			return err
		}
	}
	tx.Notify(NodeTopic(id))
	return nil
}

// Node returns the node with that id, or ErrNotFound.
func (r Reader) Node(ctx context.Context, id string) (*Node, error) {
	n := new(Node)
	err := r.db.NewSelect().Model(n).Where("id = ?", id).Scan(ctx)
	return n, notFound(err, "node", id)
}

// Nodes lists the cluster's nodes of the role in the order of registration; of both roles when
// role is empty.
func (r Reader) Nodes(ctx context.Context, cluster, role string) ([]Node, error) {
	var ns []Node
	q := r.db.NewSelect().Model(&ns).Where("cluster_id = ?", cluster).OrderExpr("seq")
	if role != "" {
		q = q.Where("role = ?", role)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list nodes of cluster %s: %w", cluster, err)
	}
	return ns, nil
}

// FindNodes returns the nodes with that UUID or name in the project's clusters, in those of every
// project when project is empty.
func (r Reader) FindNodes(ctx context.Context, project, ident string) ([]Node, error) {
	var ns []Node
	q := r.db.NewSelect().Model(&ns).Where("id = ? OR name = ?", ident, ident).OrderExpr("seq")
	if project != "" {
		q = q.Where("cluster_id IN (SELECT uuid FROM clusters WHERE project_id = ?)", project)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("find node %s: %w", ident, err)
	}
	return ns, nil
}
