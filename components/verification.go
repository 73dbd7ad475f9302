package components

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/lock"
)

// Verification says which images the nodes' pods may use. The zero value asks nobody.
type Verification struct {
	Mode VerificationMode
	// Allow are registries with paths, "registry.example.org/team", whose images pass under Enforce although
	// they are not in the lock. Repositories of the lock are never among them.
	Allow []string
}

// VerificationMode is a value of the label image_verifier.
type VerificationMode string

// The modes.
const (
	// VerifyNothing has containerd ask nobody.
	VerifyNothing VerificationMode = "off"
	// VerifyScoped holds images of the lock's repositories against the lock, in whatever registry they lie;
	// all others pass, for they are the tenant's.
	VerifyScoped VerificationMode = "scoped"
	// VerifyEnforce lets only images of the lock pass, and those of what is allowed beside it.
	VerifyEnforce VerificationMode = "enforce"
)

// allowForm is a registry, perhaps with a path: what the verifier's policy takes.
var allowForm = regexp.MustCompile(`^[a-zA-Z0-9.:\[\]-]+(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

// maxAllow bounds the list that a label may hold, in entries.
const maxAllow = 64

// ParseVerification reads the values of the labels image_verifier and image_verifier_allow; empty is off. The error
// names the label.
func ParseVerification(mode, allow string) (Verification, error) {
	v := Verification{Mode: VerificationMode(mode)}
	switch v.Mode {
	case "":
		v.Mode = VerifyNothing
	case VerifyNothing, VerifyScoped, VerifyEnforce:
	default:
		return Verification{}, fmt.Errorf("label image_verifier: %.100q is none of off, scoped, enforce", mode)
	}
	if allow == "" {
		return v, nil
	}
	if v.Mode != VerifyEnforce {
		return Verification{}, errors.New("label image_verifier_allow: it means something only where image_verifier is enforce")
	}
	for entry := range strings.SplitSeq(allow, ",") {
		entry = strings.TrimSpace(entry)
		if !allowForm.MatchString(entry) {
			return Verification{}, fmt.Errorf("label image_verifier_allow: %.100q is no registry with a path, such as registry.example.org/team", entry)
		}
		v.Allow = append(v.Allow, entry)
	}
	if len(v.Allow) > maxAllow {
		return Verification{}, fmt.Errorf("label image_verifier_allow: %d entries are more than the %d allowed", len(v.Allow), maxAllow)
	}
	slices.Sort(v.Allow)
	v.Allow = slices.Compact(v.Allow)
	return v, nil
}

// files returns what containerd's configuration says further, the policy as a file of containerd's, and the programs that
// the node must have. Without them containerd does not start: asked about a directory that is not there, it lets
// every image pass.
func (v Verification) files(l *lock.Lock) (configuration string, policy []File, needs []string) {
	if v.Mode == "" || v.Mode == VerifyNothing {
		return "", nil, nil
	}
	text, err := json.Marshal(struct {
		Scopes []string `json:"scopes"`
		Strict bool     `json:"strict"`
		Allow  []string `json:"allow,omitempty"`
	}{scopes(l), v.Mode == VerifyEnforce, v.Allow})
	if err != nil {
		panic(err) // strings and a flag only
	}
	// A verifier that is late is a refusal; kubelet tries again.
	configuration = `
[plugins."io.containerd.image-verifier.v1.bindir"]
  bin_dir = "` + plan.ImageVerifiers + `"
  max_verifiers = -1
  per_verifier_timeout = "60s"
`
	needs = []string{path.Join(plan.ImageVerifiers, path.Base(plan.ImageVerifier))}
	return configuration, []File{{path.Base(plan.ImagePolicy), string(text) + "\n"}}, needs
}

// scopes are where the lock's images lie: the directories of their repositories.
func scopes(l *lock.Lock) []string {
	var all []string
	for _, i := range l.Images {
		scope := path.Dir(i.Repository)
		if scope == "." {
			scope = i.Repository
		}
		all = append(all, scope)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
