package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxBody is the largest body that is read, in bytes: oslo.middleware's default, which is also
// Magnum's.
const maxBody = 114688

// maxDrain is how much of a body that is too large is read and thrown away, so that a client
// which writes all before it reads still sees the answer.
const maxDrain = 64 << 20

// drainTime bounds the time for that.
const drainTime = 10 * time.Second

// kind is the type of a body's field.
type kind int

const (
	textField kind = iota
	integerField
	booleanField
	labelsField
)

// field says what a body may hold under one name. A null is the same as an absent field.
type field struct {
	name      string
	kind      kind
	required  bool
	readOnly  bool // known, but not the client's to set
	min, max  int  // of an integer; max 0 is math.MaxInt32
	minLength int  // of a text, in characters
	maxLength int  // 0 is 255
	pattern   *regexp.Regexp
	oneOf     []string
}

// body is a checked request body: only known fields, each of its type and in its range.
type body struct {
	values map[string]any // *string, *int, *bool or map[string]string; absent when null
}

func (b body) text(name string) *string {
	v, _ := b.values[name].(*string)
	return v
}

func (b body) integer(name string) *int {
	v, _ := b.values[name].(*int)
	return v
}

func (b body) boolean(name string) *bool {
	v, _ := b.values[name].(*bool)
	return v
}

// labels returns the labels, never nil.
func (b body) labels(name string) map[string]string {
	v, _ := b.values[name].(map[string]string)
	if v == nil {
		v = map[string]string{}
	}
	return v
}

// readBody reads and checks the body of a request against the fields.
func readBody(w http.ResponseWriter, r *http.Request, fields []field) (body, error) {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mediaType, _, err := mime.ParseMediaType(ct); err != nil || mediaType != "application/json" {
			return body{}, &Error{Status: http.StatusUnsupportedMediaType, Detail: fmt.Sprintf("Unsupported media type %q. Send application/json.", shown(ct))}
		}
	}
	text, err := readLimited(w, r)
	if err != nil {
		return body{}, err
	}
	return parseBody(text, fields)
}

func readLimited(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, badRequest("The request body could not be read.")
	}
	if len(text) <= maxBody {
		return text, nil
	}
	// Not every ResponseWriter has deadlines; without one the server's own read timeout holds.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // an error only means that there is no more
	return nil, &Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("Request is too large. The limit is %d bytes.", maxBody)}
}

// parseBody checks a body's text against the fields. The first error by the order of the
// fields is returned; unknown fields come before all others.
func parseBody(text []byte, fields []field) (body, error) {
	if !utf8.Valid(text) {
		return body{}, badRequest("Request is not in valid JSON format: it is not UTF-8.")
	}
	object, err := decodeObject(text)
	if err != nil {
		return body{}, badRequest("Request is not in valid JSON format: %v.", err)
	}
	if err := refuseUnknown(object, fields); err != nil {
		return body{}, err
	}
	b := body{values: map[string]any{}}
	for _, f := range fields {
		raw, present := object[f.name]
		if !present || string(raw) == "null" {
			if f.required {
				return body{}, invalidField(f.name, nil, "Mandatory field missing.")
			}
			continue
		}
		value, err := f.parse(raw)
		if err != nil {
			return body{}, err
		}
		b.values[f.name] = value
	}
	return b, nil
}

func refuseUnknown(object map[string]json.RawMessage, fields []field) error {
	var unknown []string
	for name := range object {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			unknown = append(unknown, shown(name))
		}
	}
	slices.Sort(unknown)
	switch {
	case len(unknown) == 1:
		return badRequest("Unknown attribute: %s", unknown[0])
	case len(unknown) > 20:
		return badRequest("Unknown attributes: %s and %d more", strings.Join(unknown[:20], ", "), len(unknown)-20)
	case len(unknown) > 1:
		return badRequest("Unknown attributes: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// decodeObject reads one JSON object and nothing after it; a name given twice is an error.
func decodeObject(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	token, err := d.Token()
	if err != nil {
		return nil, jsonError(err)
	}
	if token != json.Delim('{') {
		return nil, errors.New("expected an object")
	}
	object := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		name := token.(string) // the decoder allows nothing else in an object
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("%s is given twice", shown(name))
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, jsonError(err)
		}
		object[name] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, jsonError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something after the object")
	}
	return object, nil
}

func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}

func (f field) parse(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, badRequest("Request is not in valid JSON format: %v.", jsonError(err))
	}
	if f.readOnly {
		return nil, invalidField(f.name, value, "Cannot set read only field.")
	}
	switch f.kind {
	case integerField:
		return f.parseInteger(value)
	case booleanField:
		return f.parseBoolean(value)
	case labelsField:
		return f.parseLabels(raw, value)
	default:
		return f.parseText(value)
	}
}

func (f field) parseText(value any) (any, error) {
	text, ok := value.(string)
	if !ok {
		return nil, invalidField(f.name, value, "Wrong type. Expected a string.")
	}
	limit := f.maxLength
	if limit == 0 {
		limit = 255
	}
	switch n := utf8.RuneCountInString(text); {
	case n < f.minLength:
		return nil, invalidField(f.name, value, fmt.Sprintf("Value should have a minimum character requirement of %d", f.minLength))
	case n > limit:
		return nil, invalidField(f.name, value, fmt.Sprintf("Value should have a maximum character requirement of %d", limit))
	case strings.ContainsRune(text, 0):
		return nil, invalidField(f.name, "", "Value should not contain the character U+0000")
	case f.pattern != nil && !f.pattern.MatchString(text):
		return nil, invalidField(f.name, value, fmt.Sprintf("Value should match the pattern %s", f.pattern))
	case f.oneOf != nil && !slices.Contains(f.oneOf, text):
		return nil, invalidField(f.name, value, fmt.Sprintf("Value should be one of: %s", strings.Join(f.oneOf, ", ")))
	}
	return &text, nil
}

// parseInteger accepts an integer or, as Magnum does, its decimal text.
func (f field) parseInteger(value any) (any, error) {
	var text string
	switch v := value.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, invalidField(f.name, value, "Wrong type. Expected an integer.")
	}
	limit := int64(f.max)
	if limit == 0 {
		limit = math.MaxInt32
	}
	switch {
	case n < int64(f.min):
		return nil, invalidField(f.name, value, fmt.Sprintf("Value should be greater or equal to %d", f.min))
	case n > limit:
		return nil, invalidField(f.name, value, fmt.Sprintf("Value should be lower or equal to %d", limit))
	}
	result := int(n)
	return &result, nil
}

// parseBoolean accepts a boolean or one of the texts that OpenStack's strutils accepts.
func (f field) parseBoolean(value any) (any, error) {
	result := false
	switch v := value.(type) {
	case bool:
		result = v
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "1", "t", "true", "on", "y", "yes":
			result = true
		case "0", "f", "false", "off", "n", "no":
		default:
			return nil, invalidField(f.name, value, "Wrong type. Expected a boolean.")
		}
	default:
		return nil, invalidField(f.name, value, "Wrong type. Expected a boolean.")
	}
	return &result, nil
}

// parseLabels accepts an object of texts, numbers and booleans, and makes texts of them: that
// is the only form that all clients can read back.
func (f field) parseLabels(raw json.RawMessage, value any) (any, error) {
	if _, ok := value.(map[string]any); !ok {
		return nil, invalidField(f.name, value, "Wrong type. Expected a dictionary.")
	}
	object, err := decodeObject(raw)
	if err != nil {
		return nil, invalidField(f.name, value, fmt.Sprintf("It is not valid: %v.", err))
	}
	labels := make(map[string]string, len(object))
	for _, name := range sortedNames(object) {
		key := f.name + "." + shown(name)
		if name == "" || strings.ContainsRune(name, 0) {
			return nil, invalidField(f.name, value, "A label needs a name.")
		}
		d := json.NewDecoder(bytes.NewReader(object[name]))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, badRequest("Request is not in valid JSON format: %v.", jsonError(err))
		}
		switch v := v.(type) {
		case string:
			if strings.ContainsRune(v, 0) {
				return nil, invalidField(key, "", "Value should not contain the character U+0000")
			}
			labels[name] = v
		case json.Number:
			labels[name] = v.String()
		case bool:
			labels[name] = strconv.FormatBool(v)
		default:
			return nil, invalidField(key, v, "Wrong type. Expected a string, a number or a boolean.")
		}
	}
	return labels, nil
}

func sortedNames(object map[string]json.RawMessage) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
