package heatapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// problem is an answer other than success.
type problem struct {
	status  int
	kind    string // Heat's name of the error
	message string
}

func (p *problem) Error() string { return p.message }

func badRequest(format string, a ...any) error {
	return &problem{http.StatusBadRequest, "HTTPBadRequest", fmt.Sprintf(format, a...)}
}

func entityNotFound(format string, a ...any) error {
	return &problem{http.StatusNotFound, "EntityNotFound", fmt.Sprintf(format, a...)}
}

// writeError answers in Heat's form. An error that is no problem stays in the server.
func writeError(w http.ResponseWriter, err error) {
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{http.StatusInternalServerError, "HTTPInternalServerError", "The server could not do this. Its log says why."}
	}
	writeJSON(w, p.status, map[string]any{
		"code":        p.status,
		"title":       http.StatusText(p.status),
		"explanation": explanation(p.status),
		"error":       map[string]any{"type": p.kind, "message": p.message, "traceback": nil},
	})
}

// explanation is what the status means, in general.
func explanation(status int) string {
	switch status {
	case http.StatusNotFound:
		return "The resource could not be found."
	case http.StatusForbidden:
		return "Access was denied to this resource."
	case http.StatusUnauthorized:
		return "The caller is not authenticated."
	case http.StatusMethodNotAllowed:
		return "The method is not allowed for this resource."
	case http.StatusBadRequest:
		return "The server could not comply with the request since it is either malformed or otherwise incorrect."
	}
	return "The server has failed."
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // the client may have gone; there is nobody to tell
}
