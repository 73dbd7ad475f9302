package verifier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Policy says which images have to be in the lock.
type Policy struct {
	// Scopes are paths of repositories whose images must be in the lock, in whatever registry or beneath
	// whatever path of it they lie: "slipway" covers r.example.org/slipway/etcd and
	// r.example.org/mirror/slipway/etcd. DefaultPolicy's when empty.
	Scopes []string `json:"scopes,omitempty"`
	// Strict demands it of all other images, too, but for those of Allow.
	Strict bool `json:"strict,omitempty"`
	// Allow are registries with paths, "registry.example.org/tenants", whose images pass although they are not in the lock. A
	// scope within is not overruled.
	Allow []string `json:"allow,omitempty"`
}

// DefaultPolicy holds our own repositories to the lock and lets tenants' images pass: without that no tenant could run a pod.
func DefaultPolicy() Policy { return Policy{Scopes: []string{"slipway"}} }

var (
	scopeForm = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$`)
	allowForm = regexp.MustCompile(`^[a-zA-Z0-9.:\[\]-]+(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
)

// maxPolicy bounds the bytes of a policy.
const maxPolicy = 64 << 10

// ReadPolicy reads the policy, in JSON, from the first of the files that is there; it is the default when none is. An unknown
// field is an error.
func ReadPolicy(files ...string) (Policy, error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Policy{}, fmt.Errorf("read the policy: %w", err)
		}
		p, err := ParsePolicy(text)
		if err != nil {
			return Policy{}, fmt.Errorf("policy %s: %w", file, err)
		}
		return p, nil
	}
	return DefaultPolicy(), nil
}

// ParsePolicy reads a policy from JSON.
func ParsePolicy(text []byte) (Policy, error) {
	if len(text) > maxPolicy {
		return Policy{}, fmt.Errorf("%d bytes are more than the %d allowed", len(text), maxPolicy)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var p Policy
	if err := dec.Decode(&p); err != nil {
		return Policy{}, err
	}
	if dec.More() {
		return Policy{}, errors.New("more than one JSON value")
	}
	if len(p.Scopes) == 0 {
		p.Scopes = DefaultPolicy().Scopes
	}
	for i, s := range p.Scopes {
		if !scopeForm.MatchString(s) {
			return Policy{}, fmt.Errorf("scopes[%d]: %q is no path of a repository", i, s)
		}
	}
	for i, a := range p.Allow {
		if !allowForm.MatchString(a) {
			return Policy{}, fmt.Errorf("allow[%d]: %q is no registry with a path", i, a)
		}
	}
	return p, nil
}

// covers reports whether a repository is of a scope.
func (p Policy) covers(repository string) bool {
	return slices.ContainsFunc(p.Scopes, func(scope string) bool {
		return strings.Contains("/"+repository+"/", "/"+scope+"/")
	})
}

// allows reports whether a registry's repository is in the list of those that pass.
func (p Policy) allows(registry, repository string) bool {
	full := registry + "/" + repository + "/"
	return slices.ContainsFunc(p.Allow, func(allowed string) bool { return strings.HasPrefix(full, allowed+"/") })
}
