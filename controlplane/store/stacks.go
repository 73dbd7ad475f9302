package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Stack is a row of stacks. The root stack of a cluster has RootID equal to ID.
type Stack struct {
	bun.BaseModel `bun:"table:stacks"`

	Seq            int64             `bun:"seq,pk,autoincrement"`
	ID             string            `bun:"id"`
	Name           string            `bun:"name"`
	RootID         string            `bun:"root_id"`
	ParentID       string            `bun:"parent_id,nullzero"`
	ParentResource string            `bun:"parent_resource,nullzero"`
	Depth          int               `bun:"depth"` // 0 for the root
	ClusterID      string            `bun:"cluster_id"`
	ProjectID      string            `bun:"project_id"`
	Owner          string            `bun:"owner"` // the actor of its events
	TemplateName   string            `bun:"template_name"`
	Template       string            `bun:"template"`
	Files          map[string]string `bun:"files,type:text"` // of the root: nested templates by name
	Parameters     map[string]any    `bun:"parameters,type:text"`
	Outputs        map[string]any    `bun:"outputs,type:text"`
	Action         string            `bun:"action"`
	Status         string            `bun:"status"`
	StatusReason   string            `bun:"status_reason"`
	Timeout        time.Duration     `bun:"timeout"`
	Deadline       time.Time         `bun:"deadline,nullzero"` // of the running action
	CreatedAt      time.Time         `bun:"created_at"`
	UpdatedAt      time.Time         `bun:"updated_at,nullzero"`
	DeletedAt      time.Time         `bun:"deleted_at,nullzero"`
}

// State is action and status in one word, such as CREATE_COMPLETE.
func (s *Stack) State() string { return s.Action + "_" + s.Status }

// InsertStacks adds stacks and wakes the subscribers of their roots.
func (tx *Tx) InsertStacks(ctx context.Context, ss []*Stack) error {
	if len(ss) == 0 {
		return nil
	}
	for _, s := range ss {
		s.CreatedAt = tx.now
		if s.Files == nil {
			s.Files = map[string]string{}
		}
		s.Parameters, s.Outputs = orNone(s.Parameters), orNone(s.Outputs)
		tx.Notify(StackTopic(s.RootID))
	}
	return insertAll(ctx, tx, "stacks", ss, "")
}

// UpdateStack writes the stack's state: action, status, reason, parameters, outputs, deadline.
func (tx *Tx) UpdateStack(ctx context.Context, s *Stack) error {
	s.UpdatedAt = tx.now
	parameters, err := json.Marshal(orNone(s.Parameters))
	if err != nil {
		return fmt.Errorf("encode parameters of stack %s: %w", s.Name, err)
	}
	outputs, err := json.Marshal(orNone(s.Outputs))
	if err != nil {
		return fmt.Errorf("encode outputs of stack %s: %w", s.Name, err)
	}
	tx.Notify(StackTopic(s.RootID))
	if s.RootID != s.ID {
		tx.Notify(StackTopic(s.ID))
	}
	n, err := tx.exec(ctx, "update stack "+s.Name,
		`UPDATE stacks SET action = ?, status = ?, status_reason = ?, owner = ?, parameters = ?, outputs = ?, timeout = ?, deadline = ?, updated_at = ?, deleted_at = ? WHERE id = ?`,
		s.Action, s.Status, s.StatusReason, s.Owner, string(parameters), string(outputs), int64(s.Timeout), nullTime(s.Deadline), s.UpdatedAt, nullTime(s.DeletedAt), s.ID)
	return updated(n, err, "stack "+s.ID)
}

// PurgeStack removes the tree of stacks below root with its resources and events.
func (tx *Tx) PurgeStack(ctx context.Context, root string) error {
	for _, q := range []string{
		`DELETE FROM events WHERE root_id = ?`,
		`DELETE FROM resources WHERE root_id = ?`,
		`DELETE FROM stacks WHERE root_id = ?`,
	} {
		if _, err := tx.exec(ctx, "purge stack "+root, q, root); err != nil {
			return err
		}
	}
	return nil
}

// Stack returns the stack with that id, or ErrNotFound.
func (r Reader) Stack(ctx context.Context, id string) (*Stack, error) {
	s := new(Stack)
	err := r.db.NewSelect().Model(s).Where("id = ?", id).Scan(ctx)
	return s, notFound(err, "stack", id)
}

// FindStack returns the project's newest stack whose id or name is ident, also a deleted one
// when it is named by id; every project's when project is empty.
func (r Reader) FindStack(ctx context.Context, project, ident string) (*Stack, error) {
	s := new(Stack)
	q := r.db.NewSelect().Model(s).Where("id = ? OR (name = ? AND deleted_at IS NULL)", ident, ident).OrderExpr("seq DESC").Limit(1)
	if project != "" {
		q = q.Where("project_id = ?", project)
	}
	return s, notFound(q.Scan(ctx), "stack", ident)
}

// StackFilter selects stacks of a listing.
type StackFilter struct {
	Project     string // every project's when empty
	Cluster     string // every cluster's when empty
	ShowNested  bool
	ShowDeleted bool
	Name        string
	Status      string // such as CREATE_COMPLETE
}

// Stacks lists stacks.
func (r Reader) Stacks(ctx context.Context, f StackFilter, p Page) ([]Stack, error) {
	var ss []Stack
	q := r.db.NewSelect().Model(&ss)
	if f.Project != "" {
		q = q.Where("project_id = ?", f.Project)
	}
	if f.Cluster != "" {
		q = q.Where("cluster_id = ?", f.Cluster)
	}
	if !f.ShowNested {
		q = q.Where("depth = 0")
	}
	if !f.ShowDeleted {
		q = q.Where("deleted_at IS NULL")
	}
	if f.Name != "" {
		q = q.Where("name = ?", f.Name)
	}
	if f.Status != "" {
		q = q.Where("action || '_' || status = ?", f.Status)
	}
	q, err := p.apply(q, "stacks", "id", "seq", "name", "status", "created_at", "updated_at")
	if err != nil {
		return nil, err
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list stacks: %w", err)
	}
	return ss, nil
}

// StackTree returns the root and all stacks nested in it, parents before children.
func (r Reader) StackTree(ctx context.Context, root string) ([]*Stack, error) {
	var ss []*Stack
	if err := r.db.NewSelect().Model(&ss).Where("root_id = ?", root).OrderExpr("depth, seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read stacks below %s: %w", root, err)
	}
	if len(ss) == 0 || ss[0].ID != root {
		return nil, fmt.Errorf("root stack %s: %w", root, ErrNotFound)
	}
	return ss, nil
}

func orNone(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
