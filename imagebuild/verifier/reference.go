package verifier

import (
	"fmt"
	"regexp"
	"strings"
)

// The form of names is that of the OCI distribution specification.
var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	registryForm   = regexp.MustCompile(`^[a-zA-Z0-9.:\[\]-]+$`)
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// reference is the name of an image as containerd has it: with its registry.
type reference struct{ registry, repository, tag, digest string }

// parseReference takes a name apart: registry/repository[:tag][@digest]. What may mean different things is refused.
func parseReference(name string) (reference, error) {
	var r reference
	bad := func(what string) (reference, error) {
		return r, fmt.Errorf("%.200q is no name of an image: %s", name, what)
	}
	rest, digest, pinned := strings.Cut(name, "@")
	if pinned && !digestForm.MatchString(digest) {
		return bad("what follows @ is no sha256 digest")
	}
	r.digest = digest
	registry, path, ok := strings.Cut(rest, "/")
	if !ok || !registryForm.MatchString(registry) || !strings.ContainsAny(registry, ".:") && registry != "localhost" {
		return bad("it does not begin with a registry")
	}
	r.registry = registry
	path, tag, tagged := strings.Cut(path, ":")
	if tagged && !tagForm.MatchString(tag) {
		return bad("what follows the colon is no tag")
	}
	r.tag = tag
	if !repositoryForm.MatchString(path) {
		return bad("its repository has another form")
	}
	r.repository = path
	return r, nil
}
