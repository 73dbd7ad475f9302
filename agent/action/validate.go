package action

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// Patterns of what is in a request. Those of names are a plan's.
const (
	uuidPattern   = `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`
	namePattern   = `^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`
	digestPattern = `^sha256:[0-9a-f]{64}$`
	unitPattern   = `^slipway-[a-zA-Z0-9:_.@-]{1,200}\.(service|socket|target|timer|mount|slice|path)$`
	repoPattern   = `^[a-z0-9]+([._/-][a-z0-9]+)*$`
	actorPattern  = `^[a-z]{1,16}:[^\x00-\x1f\x7f]{1,200}$`
)

// Bounds of what is in a request.
const (
	maxImages       = 64
	maxCertificates = 64
	maxRegistries   = 8
	maxRepository   = 200 // letters
)

// wanted says which arguments a kind has, by their JSON names; true for those it needs.
func wanted(kind Kind) (map[string]bool, bool) {
	switch kind {
	case Restart:
		return map[string]bool{"unit": true}, true
	case Logs:
		return map[string]bool{"unit": true, "lines": true}, true
	case Check:
		return map[string]bool{"checks": true}, true
	case Renew:
		return map[string]bool{"certificates": false}, true
	case Pull:
		return map[string]bool{"images": true, "lock": true, "registries": true}, true
	case Bundle, Reboot:
		return nil, true
	}
	return nil, false
}

// Validate checks all that can be known from the request alone. It returns a terminal error that
// joins one plan.FieldError for each fault found, or nil.
func (r *Request) Validate() error {
	var v validation
	if r.Schema != Schema {
		v.fail("schema", r.Schema, "want %q; this agent knows no other", Schema)
	}
	v.match("id", r.ID, uuidPattern, "a UUID")
	v.match("node", r.Node, uuidPattern, "a UUID")
	if r.Number == 0 {
		v.fail("number", "0", "must be 1 or more")
	}
	v.match("actor", r.Actor, actorPattern, "who asked, such as user:alice")
	if r.Issued.IsZero() || r.Expires.IsZero() || !r.Expires.After(r.Issued) || r.Expires.Sub(r.Issued) > MaxLife {
		v.fail("expires", r.Expires.String(), "must be later than issued, by %s at most", MaxLife)
	}
	v.errs = append(v.errs, r.Arguments.check(r.Kind)...)
	if len(v.errs) == 0 {
		return nil
	}
	return fault.Terminalf("action %.40q: %w", r.ID, errors.Join(v.errs...))
}

// ValidateArguments checks arguments for a kind, as Validate does.
func ValidateArguments(kind Kind, a Arguments) error { return errors.Join(a.check(kind)...) }

func (a *Arguments) check(kind Kind) []error {
	var v validation
	fields, known := wanted(kind)
	if !known {
		v.fail("kind", string(kind), "is unknown; the kinds are %v", Kinds())
		return v.errs
	}
	value := reflect.ValueOf(*a)
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		need, has := fields[name]
		switch set := !value.Field(i).IsZero(); {
		case set && !has:
			v.fail("arguments."+name, fmt.Sprint(value.Field(i).Interface()), "an action of kind %s has no such argument", kind)
		case !set && need:
			v.fail("arguments."+name, "", "an action of kind %s needs it", kind)
		}
	}
	if len(v.errs) > 0 {
		return v.errs
	}
	if a.Unit != "" && (kind != Logs || a.Unit != plan.AgentUnit) {
		v.match("arguments.unit", a.Unit, unitPattern, "the name of a unit of a plan")
		if a.Unit == plan.AgentUnit {
			v.fail("arguments.unit", a.Unit, "is the agent's own")
		}
	}
	if a.Lines < 0 || a.Lines > MaxLines {
		v.fail("arguments.lines", fmt.Sprint(a.Lines), "must be 1 to %d", MaxLines)
	}
	v.names(a)
	v.pull(a)
	return v.errs
}

type validation struct{ errs []error }

func (v *validation) fail(at, value, format string, a ...any) {
	const shown = 120
	if len(value) > shown {
		value = value[:shown] + "…"
	}
	v.errs = append(v.errs, &plan.FieldError{Path: at, Value: value, Detail: fmt.Sprintf(format, a...)})
}

func (v *validation) match(at, value, pattern, what string) {
	if !regexp.MustCompile(pattern).MatchString(value) {
		v.fail(at, value, "is not %s", what)
	}
}

func (v *validation) names(a *Arguments) {
	for i, name := range a.Checks {
		at := fmt.Sprintf("arguments.checks[%d]", i)
		if !slices.Contains(Checks(), name) {
			v.fail(at, string(name), "is unknown; the checks are %v", Checks())
		}
		if slices.Contains(a.Checks[:i], name) {
			v.fail(at, string(name), "is there twice")
		}
	}
	if len(a.Certificates) > maxCertificates {
		v.fail("arguments.certificates", "", "%d names, more than %d", len(a.Certificates), maxCertificates)
		return
	}
	for i, name := range a.Certificates {
		v.match(fmt.Sprintf("arguments.certificates[%d]", i), name, namePattern, "a name")
	}
}

func (v *validation) pull(a *Arguments) {
	if a.Lock != "" {
		v.match("arguments.lock", a.Lock, digestPattern, "a digest")
	}
	if len(a.Images) > maxImages || len(a.Registries) > maxRegistries {
		v.fail("arguments.images", "", "%d images and %d registries, more than %d and %d", len(a.Images), len(a.Registries), maxImages, maxRegistries)
		return
	}
	for i, image := range a.Images {
		at := fmt.Sprintf("arguments.images[%d]", i)
		v.match(at+".name", image.Name, namePattern, "a name")
		v.match(at+".repository", image.Repository, repoPattern, "a repository")
		if len(image.Repository) > maxRepository {
			v.fail(at+".repository", image.Repository, "has more than %d letters", maxRepository)
		}
		v.match(at+".digest", image.Digest, digestPattern, "a digest")
		if slices.ContainsFunc(a.Images[:i], func(other Image) bool { return other.Name == image.Name }) {
			v.fail(at+".name", image.Name, "is there twice")
		}
	}
	for i, text := range a.Registries {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			v.fail(fmt.Sprintf("arguments.registries[%d]", i), text, "is not an http or https URL")
		}
	}
}
