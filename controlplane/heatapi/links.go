package heatapi

import (
	"net/http"
	"net/url"
	"time"

	"slipway.build/slipway/controlplane/store"
)

// link is one of the links that Heat's objects carry.
type link struct {
	HRef string `json:"href"`
	Rel  string `json:"rel"`
}

// base is the address under which the client reached this API.
func (s *server) base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + s.Prefix
}

func (s *server) stackURL(r *http.Request, name, id string) string {
	return s.base(r) + "/v1/" + url.PathEscape(r.PathValue("project")) + "/stacks/" + url.PathEscape(name) + "/" + url.PathEscape(id)
}

func (s *server) resourceURL(r *http.Request, stackName, stackID, resource string) string {
	return s.stackURL(r, stackName, stackID) + "/resources/" + url.PathEscape(resource)
}

func stackNotFound(ident string) error {
	return entityNotFound("The Stack (%s) could not be found.", ident)
}

// findStack returns the project's stack with that name or id.
func (s *server) findStack(r *http.Request, ident string) (*store.Stack, error) {
	row, err := s.Store.FindStack(r.Context(), r.PathValue("project"), ident)
	if store.IsNotFound(err) {
		return nil, stackNotFound(ident)
	}
	return row, err
}

// viewTime is how Heat writes times: seconds, UTC.
func viewTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// viewOptionalTime is null for a time that never came.
func viewOptionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := viewTime(t)
	return &text
}
