package nodeapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// Limits of bodies in bytes. A batch of 64 signals, each with 8 KiB of log and as much of
// reason, fits.
const (
	maxJoinBody         = 64 << 10
	maxSignalsBody      = 4 << 20
	maxCertificatesBody = 1 << 20
)

// readBody reads a JSON body of at most limit bytes into target; unknown fields and anything
// after the value are refused.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, target any) error {
	return decodeBody(http.MaxBytesReader(w, r.Body, limit), target)
}

func decodeBody(body io.Reader, target any) error {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	err := d.Decode(target)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		if err == nil {
			err = errors.New("there is something after the JSON value")
		}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || isFieldError(err) {
		return refuse(http.StatusBadRequest, codeBadRequest, "the body cannot be read: %v", err)
	}
	// Cut short on the way: the same body may arrive whole next time.
	return later(http.StatusBadRequest, codeBadRequest, "the body cannot be read: %v", err)
}

// isFieldError reports whether err says that a body is whole and its contents are wrong. The
// error for unknown fields has no type.
func isFieldError(err error) bool {
	var typeError *json.UnmarshalTypeError
	return errors.As(err, &typeError) || !(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
}
