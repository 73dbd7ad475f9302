package apiclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Error is an answer that refused a request.
type Error struct {
	Method, Path string
	Status       int    // HTTP status
	Detail       string // the server's own words; never empty
	RequestID    string // X-Openstack-Request-Id, when the server sent one
}

func (e *Error) Error() string {
	msg := fmt.Sprintf("%s (HTTP %d)", strings.TrimSuffix(e.Detail, "."), e.Status)
	if e.RequestID != "" && e.Status >= 500 {
		msg += ", request " + e.RequestID
	}
	return msg
}

// UnreachableError says that no complete answer came back: nothing listens, the connection
// broke or the time was up.
type UnreachableError struct {
	Endpoint string
	Err      error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("slipwayd at %s does not answer: %v (is it running? `slipway status` tells, `slipway up` starts it)", e.Endpoint, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// IsNotFound reports whether err is an answer that the thing asked for does not exist.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// IsUnreachable reports whether err says that no complete answer came back.
func IsUnreachable(err error) bool {
	var e *UnreachableError
	return errors.As(err, &e)
}

// decodeError reads the error bodies of Magnum ({"errors":[…]}), of its middleware and of
// Heat ({"error":{"message"}}), and falls back to the plain text.
func decodeError(method, path string, resp *http.Response, body []byte) error {
	e := &Error{Method: method, Path: path, Status: resp.StatusCode, RequestID: resp.Header.Get("X-Openstack-Request-Id")}
	var b struct {
		Errors []struct {
			Title  string `json:"title"`
			Detail string `json:"detail"`
		} `json:"errors"`
		Error struct {
			Message string `json:"message"`
			Title   string `json:"title"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &b); err == nil {
		for _, one := range b.Errors {
			text := one.Detail
			if text == "" {
				text = one.Title
			}
			if text == "" {
				continue
			}
			if e.Detail != "" {
				e.Detail += "; "
			}
			e.Detail += text
		}
		if e.Detail == "" {
			e.Detail = b.Error.Message
		}
		if e.Detail == "" {
			e.Detail = b.Error.Title
		}
	}
	if e.Detail == "" {
		e.Detail = strings.TrimSpace(string(body))
		if len(e.Detail) > 300 {
			e.Detail = e.Detail[:300] + "…"
		}
	}
	if e.Detail == "" {
		e.Detail = fmt.Sprintf("%s %s: %s", method, path, http.StatusText(resp.StatusCode))
	}
	return e
}
