package heatapi

import (
	"context"
	"net/http"
	"time"

	"slipway.build/slipway/controlplane/store"
)

// eventItem is an event. Actor and resource type go beyond what Heat shows in lists.
type eventItem struct {
	ID                   string `json:"id"`
	EventTime            string `json:"event_time"`
	ResourceName         string `json:"resource_name"`
	LogicalResourceID    string `json:"logical_resource_id"`
	PhysicalResourceID   string `json:"physical_resource_id"`
	ResourceStatus       string `json:"resource_status"`
	ResourceStatusReason string `json:"resource_status_reason"`
	ResourceType         string `json:"resource_type"`
	Actor                string `json:"actor"`
	Links                []link `json:"links"`
}

func (s *server) viewEvent(r *http.Request, e *store.Event, root *store.Stack) eventItem {
	resource := s.resourceURL(r, e.StackName, e.StackID, e.ResourceName)
	item := eventItem{
		ID: e.ID, EventTime: viewTime(e.Time), ResourceName: e.ResourceName, LogicalResourceID: e.ResourceName,
		PhysicalResourceID: e.PhysicalID, ResourceStatus: e.Status, ResourceStatusReason: e.StatusReason,
		ResourceType: e.ResourceType, Actor: e.Actor,
		Links: []link{
			{HRef: resource + "/events/" + e.ID, Rel: "self"},
			{HRef: resource, Rel: "resource"},
			{HRef: s.stackURL(r, e.StackName, e.StackID), Rel: "stack"},
		},
	}
	if root != nil {
		item.Links = append(item.Links, link{HRef: s.stackURL(r, root.Name, root.ID), Rel: "root_stack"})
	}
	return item
}

// listEvents lists the events of a stack, or of one resource of it. With wait=30s it answers as
// soon as there is an event after the marker.
func (s *server) listEvents(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	p, err := readPage(r, map[string]string{"event_time": "time", "created_at": "time", "resource_name": "resource_name", "resource_status": "status"})
	if err != nil {
		return err
	}
	depth, err := readNestedDepth(r)
	if err != nil {
		return err
	}
	wait, err := readWait(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	filter := store.EventFilter{Resource: query.Get("resource_name"), Type: query.Get("resource_type"), Status: query.Get("resource_status")}
	if name := r.PathValue("resource"); name != "" {
		v, err := s.findResource(r, row)
		if err != nil {
			return err
		}
		filter.Resource, depth = v.Name, 0
	}
	if p.Marker != "" {
		if _, err := s.Store.Event(r.Context(), p.Marker); store.IsNotFound(err) {
			return entityNotFound("The Event (%s) could not be found.", p.Marker)
		} else if err != nil {
			return err
		}
	}
	events, err := s.awaitEvents(r.Context(), row, depth, filter, p, wait)
	if err != nil {
		return err
	}
	var root *store.Stack
	if depth > 0 {
		if root, err = s.Store.Stack(r.Context(), row.RootID); err != nil {
			return err
		}
	}
	items := make([]eventItem, 0, len(events))
	for i := range events {
		items = append(items, s.viewEvent(r, &events[i], root))
	}
	writeJSON(w, http.StatusOK, map[string]any{"events": items})
	return nil
}

// awaitEvents returns the events of the page, after up to wait when there is none yet.
func (s *server) awaitEvents(ctx context.Context, row *store.Stack, depth int, filter store.EventFilter, p store.Page, wait time.Duration) ([]store.Event, error) {
	subscription := s.Store.Subscribe(store.StackTopic(row.RootID))
	defer subscription.Close()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		events, err := s.Queries.Events(ctx, row.ID, depth, filter, p)
		if err != nil || len(events) > 0 || wait == 0 {
			return events, err
		}
		select {
		case <-subscription.C:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *server) showEvent(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	id := r.PathValue("event")
	e, err := s.Store.Event(r.Context(), id)
	if err != nil && !store.IsNotFound(err) {
		return err
	}
	if err != nil || e.StackID != row.ID || e.ResourceName != r.PathValue("resource") {
		return entityNotFound("The Event (%s) could not be found.", id)
	}
	writeJSON(w, http.StatusOK, map[string]any{"event": s.viewEvent(r, e, nil)})
	return nil
}
