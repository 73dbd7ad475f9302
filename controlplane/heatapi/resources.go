package heatapi

import (
	"net/http"

	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/store"
)

// resourceItem is a resource in a list.
type resourceItem struct {
	ResourceName         string   `json:"resource_name"`
	LogicalResourceID    string   `json:"logical_resource_id"`
	PhysicalResourceID   string   `json:"physical_resource_id"`
	ResourceType         string   `json:"resource_type"`
	ResourceStatus       string   `json:"resource_status"`
	ResourceStatusReason string   `json:"resource_status_reason"`
	CreationTime         string   `json:"creation_time"`
	UpdatedTime          string   `json:"updated_time"`
	RequiredBy           []string `json:"required_by"`
	Links                []link   `json:"links"`
	ParentResource       *string  `json:"parent_resource,omitempty"`
}

// resourceDetail is a resource in full.
type resourceDetail struct {
	resourceItem
	Attributes  map[string]any `json:"attributes"`
	Description string         `json:"description"`
}

func (s *server) viewResource(r *http.Request, v engine.ResourceView) resourceItem {
	item := resourceItem{
		ResourceName: v.Name, LogicalResourceID: v.Name, PhysicalResourceID: v.PhysicalID, ResourceType: v.Type,
		ResourceStatus: v.State(), ResourceStatusReason: v.StatusReason,
		CreationTime: viewTime(v.CreatedAt), UpdatedTime: viewTime(v.CreatedAt), RequiredBy: append([]string{}, v.RequiredBy...),
		Links: []link{
			{HRef: s.resourceURL(r, v.Stack.Name, v.Stack.ID, v.Name), Rel: "self"},
			{HRef: s.stackURL(r, v.Stack.Name, v.Stack.ID), Rel: "stack"},
		},
	}
	if !v.UpdatedAt.IsZero() {
		item.UpdatedTime = viewTime(v.UpdatedAt)
	}
	if v.NestedID != "" {
		// Only the id is at hand; the client is redirected to the name.
		item.Links = append(item.Links, link{HRef: s.base(r) + "/v1/" + r.PathValue("project") + "/stacks/" + v.NestedID, Rel: "nested"})
	}
	if v.Stack.ParentResource != "" {
		item.ParentResource = &v.Stack.ParentResource
	}
	return item
}

func (s *server) listResources(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	if err := checkKeys(r, "nested_depth", "with_detail", "type", "name", "status", "action", "id", "physical_resource_id"); err != nil {
		return err
	}
	depth, err := readNestedDepth(r)
	if err != nil {
		return err
	}
	views, err := s.Queries.Resources(r.Context(), row.ID, depth)
	if err != nil {
		return err
	}
	names := nestedNames(views)
	items := make([]any, 0, len(views))
	for _, v := range views {
		if !selected(r, v) {
			continue
		}
		item := s.viewResource(r, v)
		s.nameNested(r, &item, v, names)
		if readBool(r, "with_detail") {
			items = append(items, resourceDetail{resourceItem: item, Attributes: attributesOf(v)})
			continue
		}
		items = append(items, item)
	}
	writeJSON(w, http.StatusOK, map[string]any{"resources": items})
	return nil
}

// nestedNames are the names of the stacks that are among the views, by id.
func nestedNames(views []engine.ResourceView) map[string]string {
	names := map[string]string{}
	for _, v := range views {
		names[v.Stack.ID] = v.Stack.Name
	}
	return names
}

// nameNested puts the full address into the link to the nested stack, when its name is known.
func (s *server) nameNested(r *http.Request, item *resourceItem, v engine.ResourceView, names map[string]string) {
	name, ok := names[v.NestedID]
	if !ok {
		return
	}
	for i := range item.Links {
		if item.Links[i].Rel == "nested" {
			item.Links[i].HRef = s.stackURL(r, name, v.NestedID)
		}
	}
}

// selected reports whether a resource passes the filters of the request.
func selected(r *http.Request, v engine.ResourceView) bool {
	query := r.URL.Query()
	for key, value := range map[string][]string{
		"type": {v.Type}, "name": {v.Name}, "status": {v.Status, v.State()}, "action": {v.Action},
		"id": {v.ID}, "physical_resource_id": {v.PhysicalID},
	} {
		wanted := query[key]
		if len(wanted) == 0 {
			continue
		}
		found := false
		for _, w := range wanted {
			for _, have := range value {
				found = found || w == have
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func attributesOf(v engine.ResourceView) map[string]any {
	if v.Attributes == nil {
		return map[string]any{}
	}
	return v.Attributes
}

// findResource returns the stack's resource of that name or physical id.
func (s *server) findResource(r *http.Request, row *store.Stack) (engine.ResourceView, error) {
	ident := r.PathValue("resource")
	found, err := s.Store.FindResource(r.Context(), row.ID, ident)
	if store.IsNotFound(err) {
		return engine.ResourceView{}, entityNotFound("The Resource (%s) could not be found in Stack %s.", ident, row.Name)
	}
	return engine.ResourceView{Resource: found, Stack: row}, err
}

func (s *server) showResource(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	v, err := s.findResource(r, row)
	if err != nil {
		return err
	}
	item := s.viewResource(r, v)
	if v.NestedID != "" {
		nested, err := s.Store.Stack(r.Context(), v.NestedID)
		if err != nil && !store.IsNotFound(err) {
			return err
		}
		if err == nil {
			s.nameNested(r, &item, v, map[string]string{nested.ID: nested.Name})
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"resource": resourceDetail{resourceItem: item, Attributes: attributesOf(v)}})
	return nil
}

func (s *server) showMetadata(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	v, err := s.findResource(r, row)
	if err != nil {
		return err
	}
	metadata := v.Metadata
	if metadata == nil {
		metadata = map[string]any{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"metadata": metadata})
	return nil
}
