package osimage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Policy says which images the programs of the node's own OS (rpm-ostree, bootc, podman, skopeo) may
// take. Everything else is rejected. It does not bind containerd, which does not read it.
type Policy struct {
	// Repositories are taken from with a signature in the legacy simple-signing form.
	Repositories []Repository
	// Accept are scopes that are taken from without a signature, each "transport:scope" as
	// containers-policy.json(5) has them; "oci:/run/media/slipway" lets an OS image in from a medium.
	Accept []string
}

// Repository is a registry's repository, or a prefix of some that ends before a slash.
type Repository struct {
	Name string // "registry.example.org/os/node"
	// Key is the public key (PEM, one) that signs images there.
	Key []byte
}

// Where the policy's files are. Keys are in a file each, named by the repository.
const (
	policyPath = "etc/containers/policy.json"
	registries = "etc/containers/registries.d/slipway.yaml"
	keyDir     = "etc/pki/containers"
)

var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	acceptForm     = regexp.MustCompile(`^(docker|oci|oci-archive|dir|docker-archive|containers-storage|atomic|docker-daemon|tarball):([^\s"]+)$`)
)

type requirement struct {
	Type           string            `json:"type"`
	KeyPath        string            `json:"keyPath,omitempty"`
	SignedIdentity map[string]string `json:"signedIdentity,omitempty"`
}

// entries returns the policy's files.
func (p Policy) entries() ([]entry, error) {
	transports := map[string]map[string][]requirement{}
	scope := func(transport, name string, r requirement) error {
		if transports[transport] == nil {
			transports[transport] = map[string][]requirement{}
		}
		if _, twice := transports[transport][name]; twice {
			return fmt.Errorf("containers policy: %s:%s is named twice", transport, name)
		}
		transports[transport][name] = []requirement{r}
		return nil
	}
	var list []entry
	var sigstore []string
	for _, r := range p.Repositories {
		if !repositoryForm.MatchString(r.Name) {
			return nil, fmt.Errorf("containers policy: %q is no repository: want registry/path without tag or digest", r.Name)
		}
		keys, err := lock.PublicKeys(r.Key)
		if err != nil {
			return nil, fmt.Errorf("containers policy: key of %s: %w", r.Name, err)
		}
		if len(keys) != 1 { // keyPath reads the first one of a file, in silence
			return nil, fmt.Errorf("containers policy: key of %s: %d keys; the policy holds one for each repository", r.Name, len(keys))
		}
		text, err := lock.EncodePublicKey(keys[0])
		if err != nil {
			return nil, fmt.Errorf("containers policy: key of %s: %w", r.Name, err)
		}
		at := path.Join(keyDir, strings.NewReplacer("/", "-", ":", "-").Replace(r.Name)+".pub")
		if err := scope("docker", r.Name, requirement{Type: "sigstoreSigned", KeyPath: "/" + at,
			SignedIdentity: map[string]string{"type": "matchRepository"}}); err != nil {
			return nil, err
		}
		list = append(list, literal(at, []byte(text)))
		sigstore = append(sigstore, r.Name)
	}
	for _, a := range p.Accept {
		m := acceptForm.FindStringSubmatch(a)
		if m == nil {
			return nil, fmt.Errorf("containers policy: %q is no scope: want transport:scope, as in oci:/run/media/slipway", a)
		}
		if err := scope(m[1], m[2], requirement{Type: "insecureAcceptAnything"}); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(map[string]any{"default": []requirement{{Type: "reject"}}, "transports": transports}, "", "  ")
	if err != nil {
		return nil, err
	}
	list = append(list, literal(policyPath, append(text, '\n')))
	if len(sigstore) > 0 {
		list = append(list, literal(registries, registriesFile(sigstore)))
	}
	return list, nil
}

// registriesFile tells containers/image to look for signatures in the registry itself, at the
// tag sha256-<hex>.sig: off by default.
func registriesFile(names []string) []byte {
	var b bytes.Buffer
	b.WriteString("docker:\n")
	for _, n := range slices.Sorted(slices.Values(names)) {
		fmt.Fprintf(&b, "  %s:\n    use-sigstore-attachments: true\n", n)
	}
	return b.Bytes()
}

// Scopes returns the repositories' names, sorted.
func (p Policy) Scopes() []string {
	names := map[string]bool{}
	for _, r := range p.Repositories {
		names[r.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}
