package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Kind says what a reference leads to.
type Kind string

// The kinds.
const (
	Layout   Kind = "layout"   // directory of an OCI layout
	Archive  Kind = "archive"  // tar of an OCI layout
	Registry Kind = "registry" // repository in a registry
)

// Reference is where an image is, or is to be.
type Reference struct {
	Kind   Kind
	Path   string         // of a layout or an archive, as given
	Remote name.Reference // in a registry
	Digest v1.Hash        // that it is pinned by; zero when it is not
}

func (r Reference) String() string {
	where := r.Path
	if r.Kind == Registry {
		return r.Remote.String()
	}
	if r.Digest != (v1.Hash{}) {
		where += "@" + r.Digest.String()
	}
	return where
}

// Location is the reference without its digest, as the OS lock names a base: the repository, or the
// layout's or archive's name without the folders that it is in.
func (r Reference) Location() string {
	if r.Kind == Registry {
		return strings.TrimSuffix(strings.TrimSuffix(r.Remote.Name(), r.Remote.Identifier()), "@")
	}
	return filepath.Base(r.Path)
}

// Parse understands "DIR", "FILE", "registry/repository[:tag]" and each of them with "@sha256:…" behind. What exists on this machine is a path, and
// so is what does not begin with a registry's host: a name with a dot or a port, or localhost. oci:, oci-archive: and docker:// in front settle it, too.
func Parse(text string) (Reference, error) {
	rest, pin, pinned := strings.Cut(text, "@")
	var digest v1.Hash
	if pinned {
		var err error
		if digest, err = v1.NewHash(pin); err != nil || digest.Algorithm != "sha256" {
			return Reference{}, fmt.Errorf("%q: %q is no sha256 digest", text, pin)
		}
	}
	switch {
	case strings.HasPrefix(rest, "docker://"):
		return parseRemote(strings.TrimPrefix(text, "docker://"), digest)
	case strings.HasPrefix(rest, "oci-archive:"):
		return Reference{Kind: Archive, Path: strings.TrimPrefix(rest, "oci-archive:"), Digest: digest}, nil
	case strings.HasPrefix(rest, "oci:"):
		return Reference{Kind: Layout, Path: strings.TrimPrefix(rest, "oci:"), Digest: digest}, nil
	}
	st, err := os.Stat(rest)
	switch {
	case err == nil && st.IsDir():
		return Reference{Kind: Layout, Path: rest, Digest: digest}, nil
	case err == nil:
		return Reference{Kind: Archive, Path: rest, Digest: digest}, nil
	case rest == "":
		return Reference{}, fmt.Errorf("%q names no image", text)
	case !HasHost(rest):
		return Reference{Kind: Layout, Path: rest, Digest: digest}, nil
	}
	return parseRemote(text, digest)
}

// HasHost says whether a text begins with a registry's host, as image references do that are complete.
func HasHost(text string) bool {
	host, _, repository := strings.Cut(text, "/")
	return repository && !strings.HasPrefix(host, ".") && (host == "localhost" || strings.ContainsAny(host, ".:"))
}

func parseRemote(text string, digest v1.Hash) (Reference, error) {
	var ref name.Reference
	var err error
	if at, _, pinned := strings.Cut(text, "@"); pinned {
		// The tag beside a digest says nothing that the digest does not.
		var tagged name.Reference
		if tagged, err = name.ParseReference(at); err == nil {
			ref = tagged.Context().Digest(digest.String())
		}
	} else {
		ref, err = name.ParseReference(text)
	}
	if err != nil {
		return Reference{}, fmt.Errorf("%q is neither a path here nor an image reference: %w", text, err)
	}
	return Reference{Kind: Registry, Remote: ref, Digest: digest}, nil
}
