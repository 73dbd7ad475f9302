package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Event is one line of the audit trail; events are only ever added.
type Event struct {
	bun.BaseModel `bun:"table:events"`

	Seq          int64     `bun:"seq,pk,autoincrement"`
	ID           string    `bun:"id"`
	ClusterID    string    `bun:"cluster_id"`
	RootID       string    `bun:"root_id"`
	StackID      string    `bun:"stack_id"`
	StackName    string    `bun:"stack_name"`
	ResourceName string    `bun:"resource_name"` // the stack's name for events of a stack
	PhysicalID   string    `bun:"physical_id"`   // a name made of stack and resource until there is one
	ResourceType string    `bun:"resource_type"`
	Status       string    `bun:"status"` // such as CREATE_IN_PROGRESS or SIGNAL_IN_PROGRESS
	StatusReason string    `bun:"status_reason"`
	Actor        string    `bun:"actor"`
	Time         time.Time `bun:"time"`
}

// InsertEvents adds events in their order. ID and Time are filled in when empty. An event whose
// id is there already is left out: whoever may tell the same thing twice uses the same id.
func (tx *Tx) InsertEvents(ctx context.Context, es []*Event) error {
	if len(es) == 0 {
		return nil
	}
	for _, e := range es {
		if e.ID == "" {
			e.ID = NewID()
		}
		if e.Time.IsZero() {
			e.Time = tx.now
		}
		if e.RootID != "" {
			tx.Notify(StackTopic(e.RootID))
		}
	}
	tx.Notify(TopicEvents)
	return insertAll(ctx, tx, "events", es, "CONFLICT (id) DO NOTHING")
}

// EventFilter selects events of a listing; empty fields select all.
type EventFilter struct {
	Cluster  string
	Root     string   // the stack with that id and all nested in it
	Stacks   []string // only these stacks
	Resource string   // only of resources with that name
	Type     string
	Status   string
	// After selects events with a greater Seq: where an earlier reading ended.
	After int64
}

// Events lists events, in the order in which they were committed.
func (r Reader) Events(ctx context.Context, f EventFilter, p Page) ([]Event, error) {
	var es []Event
	q := r.db.NewSelect().Model(&es)
	for column, value := range map[string]string{"cluster_id": f.Cluster, "root_id": f.Root, "resource_name": f.Resource, "resource_type": f.Type, "status": f.Status} {
		if value != "" {
			q = q.Where("? = ?", bun.Ident(column), value)
		}
	}
	if len(f.Stacks) > 0 {
		q = q.Where("stack_id IN (?)", bun.List(f.Stacks))
	}
	if f.After > 0 {
		q = q.Where("seq > ?", f.After)
	}
	q, err := p.apply(q, "events", "id", "seq", "time", "resource_name", "status")
	if err != nil {
		return nil, err
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return es, nil
}

// Event returns the event with that id, or ErrNotFound.
func (r Reader) Event(ctx context.Context, id string) (*Event, error) {
	e := new(Event)
	err := r.db.NewSelect().Model(e).Where("id = ?", id).Scan(ctx)
	return e, notFound(err, "event", id)
}
