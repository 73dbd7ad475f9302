package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Resource is a row of resources. ID is the cloud's Request.Key: it is stored before the cloud
// is called for the first time.
type Resource struct {
	bun.BaseModel `bun:"table:resources"`

	Seq          int64          `bun:"seq,pk,autoincrement"`
	ID           string         `bun:"id"`
	StackID      string         `bun:"stack_id"`
	RootID       string         `bun:"root_id"`
	Name         string         `bun:"name"`
	Type         string         `bun:"type"`
	PhysicalID   string         `bun:"physical_id"`
	NestedID     string         `bun:"nested_id,nullzero"` // stack nested in the resource
	Action       string         `bun:"action"`
	Status       string         `bun:"status"`
	StatusReason string         `bun:"status_reason"`
	Properties   map[string]any `bun:"properties,type:text"` // resolved; nothing secret
	Attributes   map[string]any `bun:"attributes,type:text"`
	Metadata     map[string]any `bun:"metadata,type:text"`
	DependsOn    []string       `bun:"depends_on,type:text"`  // names in the same stack
	RequiredBy   []string       `bun:"required_by,type:text"` // names in the same stack
	Attempts     int            `bun:"attempts"`
	Deadline     time.Time      `bun:"deadline,nullzero"`
	CreatedAt    time.Time      `bun:"created_at"`
	UpdatedAt    time.Time      `bun:"updated_at,nullzero"`
}

// State is action and status in one word, such as CREATE_COMPLETE.
func (r *Resource) State() string { return r.Action + "_" + r.Status }

// InsertResources adds resources.
func (tx *Tx) InsertResources(ctx context.Context, rs []*Resource) error {
	if len(rs) == 0 {
		return nil
	}
	for _, r := range rs {
		r.CreatedAt = tx.now
		r.Properties, r.Attributes, r.Metadata = orNone(r.Properties), orNone(r.Attributes), orNone(r.Metadata)
		if r.DependsOn == nil {
			r.DependsOn = []string{}
		}
		if r.RequiredBy == nil {
			r.RequiredBy = []string{}
		}
	}
	return insertAll(ctx, tx, "resources", rs, "")
}

// UpdateResource writes what changes during a resource's life and wakes the root's subscribers.
func (tx *Tx) UpdateResource(ctx context.Context, r *Resource) error {
	r.UpdatedAt = tx.now
	properties, err := json.Marshal(orNone(r.Properties))
	if err != nil {
		return fmt.Errorf("encode properties of resource %s: %w", r.Name, err)
	}
	attributes, err := json.Marshal(orNone(r.Attributes))
	if err != nil {
		return fmt.Errorf("encode attributes of resource %s: %w", r.Name, err)
	}
	metadata, err := json.Marshal(orNone(r.Metadata))
	if err != nil {
		return fmt.Errorf("encode metadata of resource %s: %w", r.Name, err)
	}
	tx.Notify(StackTopic(r.RootID))
	if r.StackID != r.RootID {
		tx.Notify(StackTopic(r.StackID))
	}
	n, err := tx.exec(ctx, "update resource "+r.Name,
		`UPDATE resources SET physical_id = ?, nested_id = ?, action = ?, status = ?, status_reason = ?, properties = ?, attributes = ?, metadata = ?, attempts = ?, deadline = ?, updated_at = ? WHERE id = ?`,
		r.PhysicalID, null(r.NestedID), r.Action, r.Status, r.StatusReason, string(properties), string(attributes), string(metadata), r.Attempts, nullTime(r.Deadline), r.UpdatedAt, r.ID)
	return updated(n, err, "resource "+r.ID)
}

// Resource returns the resource with that id, or ErrNotFound.
func (r Reader) Resource(ctx context.Context, id string) (*Resource, error) {
	row := new(Resource)
	err := r.db.NewSelect().Model(row).Where("id = ?", id).Scan(ctx)
	return row, notFound(err, "resource", id)
}

// FindResource returns the stack's resource of that name or physical id, or ErrNotFound.
func (r Reader) FindResource(ctx context.Context, stack, ident string) (*Resource, error) {
	row := new(Resource)
	err := r.db.NewSelect().Model(row).Where("stack_id = ?", stack).Where("name = ? OR (physical_id = ? AND physical_id <> '')", ident, ident).
		OrderExpr("CASE WHEN name = ? THEN 0 ELSE 1 END", ident).Limit(1).Scan(ctx)
	return row, notFound(err, "resource", ident)
}

// Resources lists the resources of one stack in creation order.
func (r Reader) Resources(ctx context.Context, stack string) ([]*Resource, error) {
	var rows []*Resource
	if err := r.db.NewSelect().Model(&rows).Where("stack_id = ?", stack).OrderExpr("seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list resources of stack %s: %w", stack, err)
	}
	return rows, nil
}

// ResourceTree lists the resources of the root and of all stacks nested in it.
func (r Reader) ResourceTree(ctx context.Context, root string) ([]*Resource, error) {
	var rows []*Resource
	if err := r.db.NewSelect().Model(&rows).Where("root_id = ?", root).OrderExpr("seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list resources below stack %s: %w", root, err)
	}
	return rows, nil
}
