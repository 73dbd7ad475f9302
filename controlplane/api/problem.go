package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Error is an answer other than success, in Magnum's form.
type Error struct {
	Status int
	Code   string // "client" or "server" by status when empty
	Title  string // Detail up to its first full stop when empty
	Detail string
	extra  map[string]any
	cause  error // for the log; the client does not see it
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Detail + " (" + e.cause.Error() + ")"
	}
	return e.Detail
}

func (e *Error) Unwrap() error { return e.cause }

func badRequest(format string, a ...any) error {
	return &Error{Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, a...)}
}

func notFound(format string, a ...any) error {
	return &Error{Status: http.StatusNotFound, Detail: fmt.Sprintf(format, a...)}
}

func conflict(format string, a ...any) error {
	return &Error{Status: http.StatusConflict, Detail: fmt.Sprintf(format, a...)}
}

func forbidden(format string, a ...any) error {
	return &Error{Status: http.StatusForbidden, Detail: fmt.Sprintf(format, a...)}
}

// invalidField is the error of a body's field, in the words of Magnum's WSME layer.
func invalidField(field string, value any, reason string) error {
	return badRequest("Invalid input for field/attribute %s. Value: '%s'. %s", field, shown(value), reason)
}

// shown renders a foreign value for an error, at most 100 bytes of it.
func shown(value any) string {
	var text string
	switch v := value.(type) {
	case nil:
		return "None"
	case string:
		text = v
	default:
		encoded, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		text = string(encoded)
	}
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:100], "") + "…"
	}
	return text
}

// WriteError answers with err in Magnum's form. An error that is not an Error is the server's:
// the client sees that something failed and under which request id, not what.
func WriteError(w http.ResponseWriter, requestID string, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Status: http.StatusInternalServerError, Detail: "The server could not do this. Its log tells more under request id " + requestID + "."}
	}
	code, title := e.Code, e.Title
	if code == "" {
		code = "client"
		if e.Status >= http.StatusInternalServerError {
			code = "server"
		}
	}
	if title == "" {
		title, _, _ = strings.Cut(e.Detail, ".")
	}
	body := map[string]any{
		"request_id": requestID, "code": code, "status": e.Status, "title": title, "detail": e.Detail, "links": []any{},
	}
	for k, v := range e.extra {
		body[k] = v
	}
	writeJSON(w, e.Status, map[string]any{"errors": []any{body}})
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
