package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/google/uuid"
)

// requestState is what the outer layer knows of a request.
type requestState struct {
	id      string
	version Microversion
}

type stateKey struct{}

func requestID(ctx context.Context) string { return stateOf(ctx).id }

func versionOf(ctx context.Context) Microversion { return stateOf(ctx).version }

func stateOf(ctx context.Context) requestState {
	state, _ := ctx.Value(stateKey{}).(requestState)
	return state
}

// outer gives each request its id and version, and each answer the headers that say so.
func (s *server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestState{id: "req-" + uuid.NewString(), version: MinVersion}
		w.Header().Set("X-Openstack-Request-Id", state.id)
		defer s.recoverPanic(w, r, state.id)
		version, err := parseMicroversion(r.Header.Get(versionHeader))
		if err != nil {
			setVersionHeaders(w.Header(), MinVersion)
			WriteError(w, state.id, err)
			return
		}
		state.version = version
		setVersionHeaders(w.Header(), version)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), stateKey{}, state)))
	})
}

// recoverPanic answers 500 for a handler that panicked; the stack goes to the log.
func (s *server) recoverPanic(w http.ResponseWriter, r *http.Request, id string) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.Log.ErrorContext(r.Context(), "request panicked", "request_id", id, "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	WriteError(w, id, errors.New("panic"))
}

func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return http.StatusInternalServerError
}
