package identity

import (
	"errors"
	"net/http"
)

// ErrForbidden is in the chain of an authenticator's error when the caller's identity is known
// or beside the point and the request is refused all the same.
var ErrForbidden = errors.New("forbidden")

// Authenticator finds out who sent a request. An error that is not ErrForbidden means that the
// caller has to authenticate.
type Authenticator interface {
	Authenticate(r *http.Request) (Caller, error)
	// Challenge is the WWW-Authenticate header of a 401 answer.
	Challenge() string
}

// Require lets requests pass whose caller is known and puts the caller into their context.
// Refuse writes the answer for the others in the form of the API it guards, with status 401
// or 403.
func Require(a Authenticator, refuse func(w http.ResponseWriter, r *http.Request, status int, err error), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := a.Authenticate(r)
		switch {
		case errors.Is(err, ErrForbidden):
			refuse(w, r, http.StatusForbidden, err)
		case err != nil:
			if challenge := a.Challenge(); challenge != "" {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			refuse(w, r, http.StatusUnauthorized, err)
		default:
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), caller)))
		}
	})
}
