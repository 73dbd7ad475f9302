package heatapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"slipway.build/slipway/controlplane/orchestration/template"
	"slipway.build/slipway/controlplane/store"
)

// stackItem is a stack in a list.
type stackItem struct {
	ID                 string  `json:"id"`
	Links              []link  `json:"links"`
	StackName          string  `json:"stack_name"`
	Description        string  `json:"description"`
	CreationTime       string  `json:"creation_time"`
	UpdatedTime        *string `json:"updated_time"`
	DeletionTime       *string `json:"deletion_time"`
	StackStatus        string  `json:"stack_status"`
	StackStatusReason  string  `json:"stack_status_reason"`
	StackOwner         *string `json:"stack_owner"`
	Parent             *string `json:"parent"`
	StackUserProjectID *string `json:"stack_user_project_id"`
	Tags               *string `json:"tags"`
	Project            string  `json:"project"`
}

// stackDetail is a stack in full.
type stackDetail struct {
	stackItem
	Parameters          map[string]string `json:"parameters"`
	Outputs             []output          `json:"outputs"`
	Capabilities        []string          `json:"capabilities"`
	NotificationTopics  []string          `json:"notification_topics"`
	DisableRollback     bool              `json:"disable_rollback"`
	TimeoutMins         *int              `json:"timeout_mins"`
	TemplateDescription string            `json:"template_description"`
}

// output is one output of a stack.
type output struct {
	OutputKey   string `json:"output_key"`
	OutputValue any    `json:"output_value"`
	Description string `json:"description"`
}

func (s *server) viewStackItem(r *http.Request, row *store.Stack) stackItem {
	item := stackItem{
		ID: row.ID, Links: []link{{HRef: s.stackURL(r, row.Name, row.ID), Rel: "self"}}, StackName: row.Name,
		CreationTime: viewTime(row.CreatedAt), UpdatedTime: viewOptionalTime(row.UpdatedAt), DeletionTime: viewOptionalTime(row.DeletedAt),
		StackStatus: row.State(), StackStatusReason: row.StatusReason, Project: row.ProjectID,
	}
	if row.Owner != "" {
		item.StackOwner = &row.Owner
	}
	if row.ParentID != "" {
		item.Parent = &row.ParentID
	}
	return item
}

func (s *server) listStacks(w http.ResponseWriter, r *http.Request) error {
	p, err := readPage(r, map[string]string{
		"creation_time": "created_at", "updated_time": "updated_at", "stack_name": "name", "stack_status": "status", "name": "name", "created_at": "created_at",
	})
	if err != nil {
		return err
	}
	if p.Marker != "" {
		if _, err := s.findStack(r, p.Marker); err != nil {
			return err
		}
	}
	query := r.URL.Query()
	filter := store.StackFilter{
		Project: r.PathValue("project"), ShowNested: readBool(r, "show_nested"), ShowDeleted: readBool(r, "show_deleted"),
		Name: firstSet(query.Get("name"), query.Get("stack_name")), Status: firstSet(query.Get("status"), query.Get("stack_status")),
	}
	rows, err := s.Store.Stacks(r.Context(), filter, p)
	if err != nil {
		return err
	}
	items := make([]stackItem, 0, len(rows))
	for i := range rows {
		items = append(items, s.viewStackItem(r, &rows[i]))
	}
	writeJSON(w, http.StatusOK, map[string]any{"stacks": items})
	return nil
}

// redirect sends a client that knows a stack's name or id to the stack's full address.
func (s *server) redirect(w http.ResponseWriter, r *http.Request) error {
	row, err := s.findStack(r, r.PathValue("stack"))
	if err != nil {
		return err
	}
	prefix := s.Prefix + "/v1/" + r.PathValue("project") + "/stacks/" + r.PathValue("stack")
	target := s.stackURL(r, row.Name, row.ID) + strings.TrimPrefix(r.URL.Path, prefix)
	if row.Name == r.PathValue("stack") && strings.HasPrefix(r.URL.Path, prefix+"/"+row.ID) {
		return &problem{http.StatusNotFound, "HTTPNotFound", "The resource could not be found."}
	}
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	http.Redirect(w, r, target, http.StatusFound)
	return nil
}

func (s *server) showStack(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	detail := stackDetail{
		stackItem: s.viewStackItem(r, row), Parameters: map[string]string{}, Outputs: []output{},
		Capabilities: []string{}, NotificationTopics: []string{}, DisableRollback: true,
	}
	for name, value := range row.Parameters {
		detail.Parameters[name] = viewParameter(value)
	}
	maps.Copy(detail.Parameters, map[string]string{"OS::stack_id": row.ID, "OS::stack_name": row.Name, "OS::project_id": row.ProjectID})
	if minutes := int(row.Timeout.Minutes()); minutes > 0 {
		detail.TimeoutMins = &minutes
	}
	if t, err := template.Parse(row.TemplateName, row.Template); err == nil {
		detail.Description, detail.TemplateDescription = t.Description, t.Description
	}
	outputs, err := s.outputs(r, row)
	if err != nil {
		return err
	}
	if text := r.URL.Query().Get("resolve_outputs"); text == "" || readBool(r, "resolve_outputs") {
		detail.Outputs = outputs
	}
	writeJSON(w, http.StatusOK, map[string]any{"stack": detail})
	return nil
}

// viewParameter shows a parameter's value: Heat shows all as texts.
func viewParameter(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}

func (s *server) outputs(r *http.Request, row *store.Stack) ([]output, error) {
	values, err := s.Queries.Outputs(r.Context(), row.ID)
	if err != nil {
		return nil, err
	}
	out := make([]output, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out = append(out, output{OutputKey: key, OutputValue: values[key]})
	}
	return out, nil
}

func (s *server) listOutputs(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	outputs, err := s.outputs(r, row)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"outputs": outputs})
	return nil
}

func (s *server) showOutput(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	outputs, err := s.outputs(r, row)
	if err != nil {
		return err
	}
	for _, o := range outputs {
		if o.OutputKey == r.PathValue("output") {
			writeJSON(w, http.StatusOK, map[string]any{"output": o})
			return nil
		}
	}
	return entityNotFound("Specified output key %s not found.", r.PathValue("output"))
}

func firstSet(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
